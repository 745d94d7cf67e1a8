use std::collections::BTreeSet;
use std::sync::Arc;

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::{
    Action, Arguments, Attr, Cx, Diagnostics, Empty, Function, FunctionError, Model, Provider,
    Registry, Signature, Value, async_trait,
};

use crate::bench::{Bench, assert_no_errors, client};
use crate::kit::{Careless, Kit, Machine, Restart, Shelf, Signals, Token};

#[tokio::test]
async fn the_names_and_the_schemas_tell_the_same_things() {
    let bench = Bench::configured().await;
    let mut client = bench.client.clone();
    let request = wire::get_metadata::Request {};
    let names = client.get_metadata(request).await.unwrap().into_inner();
    let request = wire::get_provider_schema::Request {};
    let schemas = client
        .get_provider_schema(request)
        .await
        .unwrap()
        .into_inner();
    assert_no_errors(&schemas.diagnostics);
    let ephemeral: BTreeSet<_> = names
        .ephemeral_resources
        .into_iter()
        .map(|of| of.type_name)
        .collect();
    assert_eq!(
        ephemeral,
        schemas.ephemeral_resource_schemas.keys().cloned().collect()
    );
    assert_eq!(
        ephemeral.into_iter().collect::<Vec<_>>(),
        ["kit_careless", "kit_token"]
    );
    assert_eq!(names.actions[0].type_name, "kit_restart");
    let action = schemas.action_schemas["kit_restart"]
        .schema
        .clone()
        .unwrap();
    assert_eq!(action.block.unwrap().attributes[0].name, "name");
    assert_eq!(names.state_stores[0].type_name, "kit_shelf");
    assert!(schemas.state_store_schemas.contains_key("kit_shelf"));
    assert_eq!(names.functions[0].name, "describe");
    assert!(schemas.functions.contains_key("describe"));
}

#[tokio::test]
async fn an_author_s_mistakes_are_named() {
    let request = wire::get_provider_schema::Request {};
    let answer = client(Mistaken).get_provider_schema(request).await.unwrap();
    let details: Vec<String> = answer
        .into_inner()
        .diagnostics
        .into_iter()
        .map(|of| of.detail)
        .collect();
    for why in [
        "The resource kit_machine comes twice.",
        "The ephemeral resource kit_careless comes twice.",
        "The action kit_restart comes twice.",
        "The state store kit_shelf comes twice.",
        "The function Loud comes twice.",
        "Loud: a name is made of",
        "The parameter text comes twice.",
        "result: nothing is computed here",
    ] {
        assert!(
            details.iter().any(|detail| detail.starts_with(why)),
            "{why}: {details:#?}"
        );
    }
}

/// Everything twice, and more.
struct Mistaken;

#[derive(Model)]
struct AnswerModel {
    #[attribute(computed)]
    result: Attr<String>,
}

struct Answer;

#[async_trait]
impl Action for Answer {
    type Client = Arc<Signals>;
    type Model = AnswerModel;
    const TYPE_NAME: &'static str = "kit_answer";

    async fn invoke(&self, cx: &Cx<Arc<Signals>>, config: AnswerModel) -> Result<(), Diagnostics> {
        cx.progress(config.result.unwrap_or_default());
        Ok(())
    }
}

struct Loud;

#[async_trait]
impl Function for Loud {
    const NAME: &'static str = "Loud";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Says it")
            .parameter::<String>("text", "What to say.")
            .variadic::<String>("text", "What else to say.")
    }

    async fn call(&self, _: Arguments) -> Result<Value, FunctionError> {
        Err(FunctionError::new("It says nothing."))
    }
}

#[async_trait]
impl Provider for Mistaken {
    type Config = Empty;
    type Client = Arc<Signals>;
    const ADDRESS: &'static str = Kit::ADDRESS;

    fn register(&self, registry: &mut Registry<Arc<Signals>>) {
        for _ in 0..2 {
            registry
                .resource(Machine)
                .ephemeral_resource(Careless)
                .action(Restart)
                .state_store(Shelf)
                .function(Loud);
        }
        registry.ephemeral_resource(Token).action(Answer);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<Arc<Signals>, Diagnostics> {
        Ok(Arc::default())
    }
}
