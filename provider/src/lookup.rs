//! What all data sources do alike: look at the federation once, and answer from what was seen.

use std::marker::PhantomData;

use hanse_client::{Client, Snapshot};
use terraform_plugin::{
    Attr, Cx, DataSource, DeferReason, Diagnostic, Diagnostics, Model, Path, async_trait,
};

use crate::session::Session;

/// Something that a snapshot of the federation answers.
pub(crate) trait Lookup: Model + Clone {
    /// The data source's type.
    const TYPE_NAME: &'static str;

    /// The federation that the configuration asks about.
    fn federation(&self) -> &Attr<String>;

    /// The same with everything computed filled in.
    fn answer(self, snapshot: &Snapshot) -> Result<Self, Diagnostics>;
}

/// The data source of one kind of question.
pub(crate) struct Look<M>(PhantomData<fn() -> M>);

impl<M: Lookup> Look<M> {
    /// The data source.
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<M: Lookup> DataSource for Look<M> {
    type Client = Session;
    type Model = M;
    const TYPE_NAME: &'static str = M::TYPE_NAME;

    async fn read(&self, cx: &Cx<Session>, config: M) -> Result<M, Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            cx.defer(DeferReason::ProviderConfigUnknown)?;
            return Ok(config);
        }
        let snapshot = session.snapshot().await?;
        expect_federation(&snapshot, config.federation())?;
        config.answer(&snapshot)
    }
}

/// The federation that an ephemeral resource asks something of; none where the answer has to wait
/// until the federation is known.
pub(crate) async fn asked<'s>(
    cx: &'s Cx<Session>,
    federation: &Attr<String>,
) -> Result<Option<&'s Client>, Diagnostics> {
    let session = cx.client()?;
    if session.is_unknown() {
        cx.defer(DeferReason::ProviderConfigUnknown)?;
        return Ok(None);
    }
    expect_federation(session.run_snapshot().await?, federation)?;
    session.federation().map(Some)
}

/// Refuses to answer for another federation.
pub(crate) fn expect_federation(
    snapshot: &Snapshot,
    federation: &Attr<String>,
) -> Result<(), Diagnostics> {
    let own = snapshot.inventory.name();
    if federation.as_deref() == Attr::Known(own.as_str()) {
        return Ok(());
    }
    let detail = format!("These endpoints serve the federation `{own}`.");
    Err(wrong("federation", "Another federation", detail))
}

/// An error about one attribute.
pub(crate) fn wrong(attribute: &str, summary: &str, detail: impl Into<String>) -> Diagnostics {
    Diagnostic::error(summary, detail)
        .at(Path::root(attribute))
        .into()
}

/// Texts, all known.
pub(crate) fn texts<T: ToString>(of: impl IntoIterator<Item = T>) -> Attr<Vec<String>> {
    Attr::Known(of.into_iter().map(|text| text.to_string()).collect())
}
