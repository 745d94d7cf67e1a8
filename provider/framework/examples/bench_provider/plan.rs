//! The plan that is measured: 1,000 objects, first as new ones and then as existing ones, with the
//! calls that Terraform makes for each and as many of them at once. It fails if a provider finds
//! something, or plans a change where there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value as Json, json};
use terraform_plugin::value::{Type, UnknownAttributes, Value};

use crate::Result;
use crate::wire::{
    Apply, Block, Configure, Dynamic, Plan, Provider, RawState, Read, Schemas, Upgrade, Validate,
    no_findings,
};

/// How many objects a plan has.
pub(crate) const OBJECTS: usize = 1000;

/// How many objects Terraform works on at once by default.
const AT_ONCE: usize = 10;

/// One object in every form in which Terraform sends it.
pub(crate) struct Object {
    type_name: String,
    version: i64,
    of: Type,
    config: Dynamic,
    null: Dynamic,
    /// Of a new object.
    proposed: Dynamic,
    state: Value,
    state_json: Vec<u8>,
    private: Vec<u8>,
    /// Of the object that exists.
    proposed_again: Dynamic,
}

/// The objects of a plan, as often as each is planned.
pub(crate) type Objects = Vec<Arc<Object>>;

/// Configures the provider, and creates one object of each kind.
pub(crate) async fn prepare(provider: &Provider, schemas: &Schemas) -> Result<Objects> {
    configure(provider).await?;
    let mut objects = Vec::new();
    for (type_name, config) in configurations() {
        let schema = schemas.resources.get(type_name);
        let schema = schema.ok_or_else(|| format!("there is no {type_name} to plan"))?;
        let block = schema.block.clone().unwrap_or_default();
        let object = create(provider, type_name, schema.version, &block, &config).await;
        let object = object.map_err(|error| format!("{type_name}: {error}"))?;
        objects.push(Arc::new(object));
    }
    Ok(objects.into_iter().cycle().take(OBJECTS).collect())
}

pub(crate) async fn configure(provider: &Provider) -> Result<()> {
    let request = Configure {
        terraform_version: "1.15.5".to_owned(),
        config: Some(msgpack(
            &Value::Object(BTreeMap::new()),
            &Type::object::<&str>([]),
        )?),
    };
    no_findings(&provider.configure(request).await?.findings)
}

/// Plans all of them as objects that don't exist yet.
pub(crate) async fn plan_new(provider: &Provider, objects: &Objects) -> Result<()> {
    at_once(objects, |object| async move {
        object.validate(provider).await?;
        object.plan_new(provider).await.map(|_| ())
    })
    .await
}

/// Plans all of them as objects that exist and have not changed.
pub(crate) async fn plan_existing(provider: &Provider, objects: &Objects) -> Result<()> {
    at_once(objects, |object| async move {
        let state = object.upgrade(provider).await?;
        let state = object.read(provider, state).await?;
        object.validate(provider).await?;
        object.plan_unchanged(provider, state).await
    })
    .await
}

/// One of each kind that there is, as a user would write it.
fn configurations() -> [(&'static str, Json); 10] {
    let keepers = json!({ "release": "2026-11", "zone": "a" });
    [
        ("random_bytes", json!({ "length": 32 })),
        (
            "random_id",
            json!({ "byte_length": 8, "prefix": "web-", "keepers": keepers }),
        ),
        (
            "random_integer",
            json!({ "min": 1, "max": 50000, "seed": "harbour" }),
        ),
        (
            "random_password",
            json!({ "length": 24, "min_numeric": 2, "override_special": "_-" }),
        ),
        ("random_pet", json!({ "length": 3, "keepers": keepers })),
        (
            "random_shuffle",
            json!({ "input": ["a", "b", "c", "d"], "result_count": 3 }),
        ),
        (
            "random_string",
            json!({ "length": 12, "special": false, "keepers": keepers }),
        ),
        ("random_uuid", json!({ "keepers": keepers })),
        ("random_uuid4", json!({})),
        ("random_uuid7", json!({ "keepers": keepers })),
    ]
}

async fn at_once<'a, F, W>(objects: &'a Objects, work: W) -> Result<()>
where
    F: Future<Output = Result<()>> + 'a,
    W: Fn(&'a Object) -> F + 'a,
{
    let work = &work;
    futures::stream::iter(objects)
        .map(|object| async move {
            let done = work(object).await;
            done.map_err(|error| format!("{}: {error}", object.type_name).into())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn create(
    provider: &Provider,
    type_name: &str,
    version: i64,
    block: &Block,
    config: &Json,
) -> Result<Object> {
    let mut types = BTreeMap::new();
    for attribute in &block.attributes {
        types.insert(
            attribute.name.clone(),
            Type::from_json_bytes(&attribute.of)?,
        );
    }
    let of = Type::object(types);
    let mut full = serde_json::Map::new();
    for attribute in &block.attributes {
        let configured = config.get(&attribute.name).cloned();
        full.insert(attribute.name.clone(), configured.unwrap_or_default());
    }
    let full = Json::Object(full).to_string();
    let config = Value::from_json(full.as_bytes(), &of, UnknownAttributes::Refuse)?;
    let mut object = Object {
        type_name: type_name.to_owned(),
        version,
        config: msgpack(&config, &of)?,
        null: msgpack(&Value::Null, &of)?,
        proposed: msgpack(&config, &of)?,
        of,
        state: Value::Null,
        state_json: Vec::new(),
        private: Vec::new(),
        proposed_again: Dynamic::default(),
    };
    object.validate(provider).await?;
    let (planned, private) = object.plan_new(provider).await?;
    let request = Apply {
        type_name: object.type_name.clone(),
        prior_state: Some(object.null.clone()),
        planned_state: Some(planned),
        config: Some(object.config.clone()),
        planned_private: private,
    };
    let answer = provider.apply(request).await?;
    no_findings(&answer.findings)?;
    object.state = value(answer.state, &object.of)?;
    object.state_json = object.state.to_json(&object.of)?;
    object.private = answer.private;
    let again = proposed(block, &config, &object.state);
    object.proposed_again = msgpack(&again, &object.of)?;
    Ok(object)
}

/// Terraform's own merge: what nobody configured and the provider may set stays as it is.
fn proposed(block: &Block, config: &Value, state: &Value) -> Value {
    Value::object(block.attributes.iter().map(|attribute| {
        let configured = config.attribute(&attribute.name);
        let keeps = attribute.computed && configured.is_null();
        let from = if keeps { state } else { config };
        (
            attribute.name.clone(),
            from.attribute(&attribute.name).clone(),
        )
    }))
}

impl Object {
    async fn validate(&self, provider: &Provider) -> Result<()> {
        let request = Validate {
            type_name: self.type_name.clone(),
            config: Some(self.config.clone()),
        };
        no_findings(&provider.validate(request).await?.findings)
    }

    async fn upgrade(&self, provider: &Provider) -> Result<Option<Dynamic>> {
        let request = Upgrade {
            type_name: self.type_name.clone(),
            version: self.version,
            raw_state: Some(RawState {
                json: self.state_json.clone(),
            }),
        };
        let answer = provider.upgrade(request).await?;
        no_findings(&answer.findings)?;
        Ok(answer.state)
    }

    async fn read(&self, provider: &Provider, state: Option<Dynamic>) -> Result<Option<Dynamic>> {
        let request = Read {
            type_name: self.type_name.clone(),
            current_state: state,
            private: self.private.clone(),
        };
        let answer = provider.read(request).await?;
        no_findings(&answer.findings)?;
        Ok(answer.state)
    }

    async fn plan_new(&self, provider: &Provider) -> Result<(Dynamic, Vec<u8>)> {
        let request = Plan {
            type_name: self.type_name.clone(),
            prior_state: Some(self.null.clone()),
            proposed_new_state: Some(self.proposed.clone()),
            config: Some(self.config.clone()),
            prior_private: Vec::new(),
        };
        let answer = provider.plan(request).await?;
        no_findings(&answer.findings)?;
        let planned = answer.state.ok_or("the plan is empty")?;
        Ok((planned, answer.private))
    }

    async fn plan_unchanged(&self, provider: &Provider, state: Option<Dynamic>) -> Result<()> {
        let request = Plan {
            type_name: self.type_name.clone(),
            prior_state: state,
            proposed_new_state: Some(self.proposed_again.clone()),
            config: Some(self.config.clone()),
            prior_private: self.private.clone(),
        };
        let answer = provider.plan(request).await?;
        no_findings(&answer.findings)?;
        if value(answer.state, &self.of)? == self.state {
            Ok(())
        } else {
            Err("a plan without a change has one".into())
        }
    }
}

fn msgpack(value: &Value, of: &Type) -> Result<Dynamic> {
    Ok(Dynamic {
        msgpack: value.to_msgpack(of)?,
        json: Vec::new(),
    })
}

fn value(sent: Option<Dynamic>, of: &Type) -> Result<Value> {
    let sent = sent.ok_or("the answer holds no state")?;
    Ok(Value::from_msgpack(&sent.msgpack, of)?)
}
