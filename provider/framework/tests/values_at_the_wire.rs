//! What Terraform sends comes back as it was: numbers of any length, large sets, and what is known
//! of unknown values. A provider that changes any of it makes plans that never end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Refinement, Refinements, Type, Value};
use terraform_plugin::{
    Attr, Cx, Diagnostics, Empty, Failure, Model, Number, Path, PlanCx, Provider, Registry,
    Resource, Service, Set, async_trait,
};
use tonic::IntoRequest;
use wire::provider_server::Provider as _;

const THIRTY_DIGITS: &str = "123456789012345678901234567890";
const SHELF: &str = "test_shelf";

/// A thing that holds values of every shape.
#[derive(Model)]
struct ShelfModel {
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
    #[attribute(optional)]
    label: Attr<String>,
    #[attribute(optional)]
    number: Attr<Number>,
    #[attribute(optional)]
    numbers: Attr<BTreeMap<String, Number>>,
    #[attribute(optional)]
    words: Attr<Set<String>>,
    #[attribute(optional)]
    slots: Attr<Set<SlotModel>>,
    #[attribute(optional)]
    open: Attr<Value>,
}

/// One of many.
#[derive(Model)]
struct SlotModel {
    #[attribute(required)]
    name: Attr<String>,
    #[attribute(optional, computed, default = "empty")]
    holds: Attr<String>,
}

struct Shelf;

#[async_trait]
impl Resource for Shelf {
    type Client = ();
    type Model = ShelfModel;
    const TYPE_NAME: &'static str = SHELF;

    async fn plan(
        &self,
        cx: &PlanCx<()>,
        _: Option<&ShelfModel>,
        _: &ShelfModel,
        plan: &mut ShelfModel,
    ) -> Result<(), Diagnostics> {
        cx.promise(
            Path::root("id"),
            Refinement::not_null().starting_with("shelf/"),
        );
        if plan.label.as_deref() == Attr::Known("promises nonsense") {
            cx.promise(Path::root("id"), Refinement::not_null().at_least(1));
        }
        Ok(())
    }

    async fn create(
        &self,
        _: &Cx<()>,
        mut plan: ShelfModel,
    ) -> Result<ShelfModel, Failure<ShelfModel>> {
        plan.id = "shelf/1".into();
        Ok(plan)
    }

    async fn read(&self, _: &Cx<()>, state: ShelfModel) -> Result<Option<ShelfModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<()>,
        _: ShelfModel,
        plan: ShelfModel,
    ) -> Result<ShelfModel, Failure<ShelfModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<()>, _: ShelfModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}

struct Shelves;

#[async_trait]
impl Provider for Shelves {
    type Config = Empty;
    type Client = ();
    const ADDRESS: &'static str = "registry.terraform.io/example/test";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Shelf);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

#[tokio::test]
async fn numbers_of_thirty_digits_come_back_from_plan_apply_and_read_as_they_went() {
    let number: Number = THIRTY_DIGITS.parse().unwrap();
    let small: Number = format!("-0.{THIRTY_DIGITS}").parse().unwrap();
    let numbers = [
        ("large".to_owned(), number.clone().into()),
        ("small".to_owned(), small.into()),
    ];
    let open_type = Type::list(Type::Number);
    let config = shelf(&[
        ("number", number.clone().into()),
        ("numbers", Value::Map(numbers.into())),
        (
            "open",
            Value::Dynamic(open_type, Box::new(Value::List(vec![number.into()]))),
        ),
    ]);
    let (planned, bytes) = plan(&Value::Null, &config, &Refinements::default()).await;
    assert_eq!(without_id(planned.clone()), without_id(config.clone()));
    // As digits, so that no reader takes them for a float.
    assert!(contains(&bytes, THIRTY_DIGITS.as_bytes()));

    let state = apply(&planned, &config).await;
    assert_eq!(without_id(state.clone()), without_id(config));
    let request = wire::read_resource::Request {
        type_name: SHELF.to_owned(),
        current_state: wire_of(&state, &Refinements::default()),
        ..Default::default()
    };
    let read = Service::new(Shelves)
        .read_resource(request.into_request())
        .await;
    assert_eq!(value_of(read.unwrap().into_inner().new_state).0, state);
}

#[tokio::test]
async fn numbers_of_thirty_digits_are_read_from_stored_state_as_they_were_written() {
    let json = format!(r#"{{"id":"shelf/1","number":{THIRTY_DIGITS}.5,"open":null}}"#);
    let request = wire::upgrade_resource_state::Request {
        type_name: SHELF.to_owned(),
        version: 0,
        raw_state: Some(wire::RawState {
            json: json.into_bytes(),
            ..Default::default()
        }),
    };
    let answer = Service::new(Shelves)
        .upgrade_resource_state(request.into_request())
        .await;
    let (state, _) = value_of(answer.unwrap().into_inner().upgraded_state);
    let number: Number = format!("{THIRTY_DIGITS}.5").parse().unwrap();
    assert_eq!(state.attribute("number"), &Value::Number(number));
}

#[tokio::test]
async fn what_is_known_of_a_configured_unknown_value_is_in_the_plan_again() {
    let config = shelf(&[("label", Value::Unknown), ("words", Value::Unknown)]);
    let mut sent = Refinements::default();
    sent.insert(
        Path::root("label"),
        Refinement::not_null().starting_with("host-"),
    );
    sent.insert(
        Path::root("words"),
        Refinement::default().with_at_least(1).with_at_most(3),
    );
    let (planned, bytes) = plan(&Value::Null, &config, &sent).await;
    assert!(planned.attribute("label").is_unknown());
    let (_, received) = Value::from_msgpack_refined(&bytes, &of()).unwrap();
    for (path, refinement) in sent.iter() {
        assert_eq!(received.get(path), Some(refinement));
    }
}

#[tokio::test]
async fn an_author_promises_how_an_unknown_value_begins() {
    let (planned, bytes) = plan(&Value::Null, &shelf(&[]), &Refinements::default()).await;
    assert!(planned.attribute("id").is_unknown());
    let (_, received) = Value::from_msgpack_refined(&bytes, &of()).unwrap();
    let promised = received.get(&Path::root("id")).unwrap();
    assert!(promised.is_not_null());
    assert_eq!(promised.prefix(), Some("shelf/"));
}

#[tokio::test]
async fn a_promise_that_no_value_of_the_type_could_keep_is_an_error_that_names_the_attribute() {
    let config = shelf(&[("label", "promises nonsense".into())]);
    let answer = ask_for_plan(&Value::Null, &config, &Refinements::default()).await;
    let [error] = answer.diagnostics.as_slice() else {
        panic!("{:?}", answer.diagnostics)
    };
    assert!(error.detail.contains("bounds of string at id"), "{error:?}");
}

#[tokio::test]
async fn sets_of_ten_thousand_elements_are_planned_and_applied_in_any_order() {
    let name = |index: usize| format!("word {index}");
    let words = Value::set((0..10_000).map(|index| name(index).into()));
    let slot = |index: usize, holds: Value| {
        Value::object([("name", name(index).into()), ("holds", holds)])
    };
    let slots = Value::set((0..10_000).map(|index| slot(index, Value::Null)));
    let config = shelf(&[("words", words), ("slots", slots)]);
    let (planned, _) = plan(&Value::Null, &config, &Refinements::default()).await;
    let filled = Value::set((0..10_000).map(|index| slot(index, "empty".into())));
    assert_eq!(planned.attribute("slots"), &filled);
    let state = apply(&planned, &config).await;
    assert_eq!(state.attribute("words"), config.attribute("words"));

    // A second plan, with the state as the prior, finds nothing to do.
    let proposed = with_slots(config.clone(), filled);
    let proposed = with_id(proposed, state.attribute("id").clone());
    let answer = ask(&state, &proposed, &config, &Refinements::default()).await;
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    assert_eq!(value_of(answer.planned_state).0, state);
}

#[tokio::test]
async fn a_value_nested_without_end_is_a_finding() {
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        bytes.extend([0x92, 0xc4, 9]);
        bytes.extend(br#""dynamic""#);
    }
    bytes.extend([0xd4, 0, 0]);
    let config = wire::DynamicValue {
        msgpack: [&[0x81, 0xa4][..], b"open", &bytes].concat(),
        json: Vec::new(),
    };
    let request = wire::validate_resource_config::Request {
        type_name: SHELF.to_owned(),
        config: Some(config),
        client_capabilities: None,
    };
    let answer = Service::new(Shelves)
        .validate_resource_config(request.into_request())
        .await
        .unwrap()
        .into_inner();
    let [error] = answer.diagnostics.as_slice() else {
        panic!("{:?}", answer.diagnostics)
    };
    assert!(error.detail.contains("nested deeper"), "{error:?}");
    assert!(error.detail.len() < 4096);
}

fn of() -> Type {
    ShelfModel::block().value_type()
}

/// A shelf's configuration: null but for what is given.
fn shelf(given: &[(&str, Value)]) -> Value {
    let Type::Object(of, _) = of() else {
        panic!("a block is an object")
    };
    let null = of.into_keys().map(|name| (name, Value::Null));
    let given = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::Object(null.chain(given).collect())
}

fn replaced(object: Value, name: &str, value: Value) -> Value {
    let Value::Object(mut attributes) = object else {
        panic!("an object")
    };
    attributes.insert(name.to_owned(), value);
    Value::Object(attributes)
}

fn with_id(object: Value, id: Value) -> Value {
    replaced(object, "id", id)
}

fn without_id(object: Value) -> Value {
    with_id(object, Value::Null)
}

fn with_slots(object: Value, slots: Value) -> Value {
    replaced(object, "slots", slots)
}

fn wire_of(value: &Value, refinements: &Refinements) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack_refined(&of(), refinements).unwrap(),
        json: Vec::new(),
    })
}

fn value_of(value: Option<wire::DynamicValue>) -> (Value, Vec<u8>) {
    let bytes = value.unwrap().msgpack;
    (Value::from_msgpack(&bytes, &of()).unwrap(), bytes)
}

async fn ask(
    prior: &Value,
    proposed: &Value,
    config: &Value,
    refinements: &Refinements,
) -> wire::plan_resource_change::Response {
    let request = wire::plan_resource_change::Request {
        type_name: SHELF.to_owned(),
        prior_state: wire_of(prior, &Refinements::default()),
        proposed_new_state: wire_of(proposed, refinements),
        config: wire_of(config, refinements),
        ..Default::default()
    };
    let answer = Service::new(Shelves)
        .plan_resource_change(request.into_request())
        .await;
    answer.unwrap().into_inner()
}

async fn ask_for_plan(
    prior: &Value,
    config: &Value,
    refinements: &Refinements,
) -> wire::plan_resource_change::Response {
    ask(prior, config, config, refinements).await
}

async fn plan(prior: &Value, config: &Value, refinements: &Refinements) -> (Value, Vec<u8>) {
    let answer = ask_for_plan(prior, config, refinements).await;
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    value_of(answer.planned_state)
}

async fn apply(planned: &Value, config: &Value) -> Value {
    let request = wire::apply_resource_change::Request {
        type_name: SHELF.to_owned(),
        prior_state: wire_of(&Value::Null, &Refinements::default()),
        planned_state: wire_of(planned, &Refinements::default()),
        config: wire_of(config, &Refinements::default()),
        ..Default::default()
    };
    let answer = Service::new(Shelves)
        .apply_resource_change(request.into_request())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    value_of(answer.new_state).0
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
