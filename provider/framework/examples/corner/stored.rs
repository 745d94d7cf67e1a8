//! What came before: objects that are imported, found, moved here from elsewhere, or that an older
//! release wrote, each with an identity and private data.

use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Failure, Found, ListQuery, ListResource, Model, MoveSource,
    Registry, Resource, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// Under this key the private data tells what happened.
const HISTORY: &str = "history";

/// Something with a past.
#[derive(Model, Clone, Default)]
pub(crate) struct Stored {
    /// Where it is kept.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
    /// What it is called.
    #[attribute(required, requires_replace, identity, validate = file_name)]
    name: Attr<String>,
    /// Where it lies.
    #[attribute(
        optional,
        computed,
        requires_replace,
        default = "east",
        identity = "optional"
    )]
    zone: Attr<String>,
    /// What is to be said of it.
    #[attribute(optional)]
    note: Attr<String>,
    /// How many there are.
    #[attribute(optional, computed, default = 1)]
    count_of: Attr<i64>,
    /// What happened until the last change, from the private data.
    #[attribute(computed)]
    past: Attr<String>,
}

impl Kept for Stored {
    const KIND: &'static str = "stored";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

impl Stored {
    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

struct StoredResource;

#[async_trait]
impl Resource for StoredResource {
    type Client = Store;
    type Model = Stored;
    const TYPE_NAME: &'static str = "corner_stored";
    const VERSION: i64 = 2;

    async fn create(&self, cx: &Cx<Store>, mut plan: Stored) -> Result<Stored, Failure<Stored>> {
        plan.id = plan.name.clone().map(|name| format!("stored/{name}"));
        Ok(keep(cx, plan, "created")?)
    }

    async fn read(&self, cx: &Cx<Store>, state: Stored) -> Result<Option<Stored>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        _: Stored,
        plan: Stored,
    ) -> Result<Stored, Failure<Stored>> {
        Ok(keep(cx, plan, "updated")?)
    }

    async fn delete(&self, cx: &Cx<Store>, state: Stored) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Stored>(&state.name)?)
    }

    async fn import(&self, cx: &Cx<Store>, id: &str) -> Result<Stored, Diagnostics> {
        remember(cx, "imported by id");
        Ok(Stored::named(id))
    }

    async fn import_by_identity(
        &self,
        cx: &Cx<Store>,
        identity: Stored,
    ) -> Result<Stored, Diagnostics> {
        remember(cx, "imported by identity");
        Ok(identity)
    }

    async fn move_from(
        &self,
        cx: &Cx<Store>,
        source: MoveSource,
    ) -> Result<Option<Stored>, Diagnostics> {
        let name = match source.type_name.as_str() {
            "corner_everything" => source.state["name"].as_str(),
            // An attribute of any type holds its type beside its value.
            "terraform_data" => source.state["input"]["value"].as_str(),
            _ => return Ok(None),
        };
        let name = name.ok_or_else(|| Diagnostic::error("Unable to move", "It has no name."))?;
        remember(cx, "moved");
        // The rest is read right after.
        Ok(Some(Stored::named(name)))
    }

    async fn upgrade(
        &self,
        cx: &Cx<Store>,
        version: i64,
        state: serde_json::Value,
    ) -> Result<Stored, Diagnostics> {
        remember(cx, "upgraded");
        let text = |key: &str| Attr::from(state[key].as_str().map(str::to_owned));
        let (name, note) = match version {
            0 => (text("title"), Attr::Null),
            _ => (text("name"), text("text")),
        };
        Ok(Stored {
            id: text("id"),
            name,
            note,
            zone: "east".into(),
            count_of: state["count"].as_i64().unwrap_or(1).into(),
            past: "none".into(),
        })
    }
}

/// Which objects to find.
#[derive(Model)]
pub(crate) struct StoredQuery {
    /// How their names begin.
    #[attribute(optional)]
    prefix: Attr<String>,
}

struct StoredList;

#[async_trait]
impl ListResource for StoredList {
    type Client = Store;
    type Config = StoredQuery;
    type Resource = StoredResource;

    async fn list(
        &self,
        cx: &Cx<Store>,
        query: ListQuery<StoredQuery>,
        found: &mut Found<Stored>,
    ) -> Result<(), Diagnostics> {
        let store = cx.client()?;
        let prefix = query.config.prefix.unwrap_or_default();
        for name in store.names::<Stored>()? {
            if let Some(stored) = store.load::<Stored>(&name.as_str().into())?
                && name.starts_with(&prefix)
            {
                found.push(format!("the one named {name}"), stored).await?;
            }
        }
        Ok(())
    }
}

/// Adds both.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(StoredResource).list_resource(StoredList);
}

fn keep(cx: &Cx<Store>, mut plan: Stored, what: &str) -> Result<Stored, Diagnostics> {
    plan.past = remember(cx, what).into();
    cx.client()?.save(&plan)?;
    Ok(plan)
}

/// Adds to the private data, and says all that is in it.
fn remember(cx: &Cx<Store>, what: &str) -> String {
    let before = cx.private(HISTORY).unwrap_or_default();
    let before = String::from_utf8_lossy(&before);
    let history = format!("{before}{what}; ");
    cx.set_private(HISTORY, history.as_bytes());
    history
}
