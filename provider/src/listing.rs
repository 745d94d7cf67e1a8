//! What all list resources do alike: `terraform query` finds every declared object of a kind.

use std::marker::PhantomData;

use terraform_plugin::{Attr, Cx, Diagnostics, Found, ListQuery, ListResource, Model, async_trait};

use crate::declaration::Declaration;
use crate::declared::Declared;
use crate::lookup::expect_federation;
use crate::session::Session;

/// The list resource of one kind of object.
pub(crate) struct Listing<M>(PhantomData<fn() -> M>);

/// What is looked for.
#[derive(Clone, Model)]
pub(crate) struct ListingConfig {
    /// The federation. By default the one that the provider's endpoints serve.
    #[attribute(optional)]
    pub(crate) federation: Attr<String>,
}

impl<M: Declared> Listing<M> {
    /// The list resource.
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<M: Declared> ListResource for Listing<M> {
    type Client = Session;
    type Config = ListingConfig;
    type Resource = Declaration<M>;

    async fn list(
        &self,
        cx: &Cx<Session>,
        query: ListQuery<ListingConfig>,
        found: &mut Found<M>,
    ) -> Result<(), Diagnostics> {
        let snapshot = cx.client()?.snapshot().await?;
        if query.config.federation.is_known() {
            expect_federation(&snapshot, &query.config.federation)?;
        }
        let declared = snapshot.response.objects.iter();
        let declared = declared.filter(|stored| !stored.retiring);
        let kinds = declared.filter_map(|stored| stored.object.clone()?.kind);
        for mut object in kinds.filter_map(M::from_wire) {
            object.complete(&snapshot);
            let name = object.id().as_deref().unwrap_or_default().to_owned();
            found.push(name, object).await?;
        }
        Ok(())
    }
}
