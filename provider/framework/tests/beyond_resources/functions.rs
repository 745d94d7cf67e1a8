use terraform_plugin::Value;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Type;

use crate::bench::{Bench, dynamic, garbage};

async fn call(arguments: Vec<wire::DynamicValue>) -> wire::call_function::Response {
    let bench = Bench::configured().await;
    let name = "describe".to_owned();
    let request = wire::call_function::Request { name, arguments };
    bench
        .client
        .clone()
        .call_function(request)
        .await
        .unwrap()
        .into_inner()
}

fn arguments(known: Value, nullable: Value, any: Value) -> Vec<wire::DynamicValue> {
    let types = [Type::String, Type::Number, Type::Bool];
    let values = [known, nullable, any].into_iter().zip(types);
    values
        .map(|(value, of)| dynamic(&value, &of).unwrap())
        .collect()
}

fn number(value: i64) -> wire::DynamicValue {
    dynamic(&value.into(), &Type::Number).unwrap()
}

fn text(answer: &wire::call_function::Response) -> String {
    let result = answer
        .result
        .as_ref()
        .unwrap_or_else(|| panic!("{answer:?}"));
    match Value::from_msgpack(&result.msgpack, &Type::String).unwrap() {
        Value::String(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn arguments_are_what_their_rust_types_say() {
    let answer = call(arguments("a".into(), 7_i64.into(), Value::Bool(true))).await;
    assert_eq!(text(&answer), "a Some(7) Known(true) []");
    let answer = call(arguments("a".into(), Value::Null, Value::Null)).await;
    assert_eq!(text(&answer), "a None Null []");
    let answer = call(arguments("a".into(), Value::Null, Value::Unknown)).await;
    assert_eq!(text(&answer), "a None Unknown []");
}

#[tokio::test]
async fn an_argument_of_which_nothing_came_is_null() {
    let mut given = arguments("a".into(), Value::Null, Value::Null);
    given[1] = wire::DynamicValue::default();
    assert_eq!(text(&call(given.clone()).await), "a None Null []");
    given[0] = wire::DynamicValue::default();
    let error = call(given).await.error.unwrap();
    assert_eq!(error.function_argument, Some(0));
    assert_eq!(error.text, "A value is needed, and this is null.");
}

#[tokio::test]
async fn variadic_arguments_follow_the_others() {
    let mut given = arguments("a".into(), Value::Null, Value::Null);
    given.extend([number(1), number(2)]);
    assert_eq!(text(&call(given.clone()).await), "a None Null [1, 2]");
    given.push(number(256));
    let error = call(given).await.error.unwrap();
    assert_eq!(error.function_argument, Some(5));
    assert_eq!(error.text, "A whole number from 0 to 255 is needed.");
}

#[tokio::test]
async fn what_a_parameter_does_not_allow_is_refused_by_its_index() {
    let (null, unknown) = (
        "A value is needed, and this is null.",
        "The value isn't known yet.",
    );
    for (given, index, why) in [
        (arguments(Value::Null, Value::Null, Value::Null), 0, null),
        (
            arguments(Value::Unknown, Value::Null, Value::Null),
            0,
            unknown,
        ),
        (
            arguments("a".into(), Value::Unknown, Value::Null),
            1,
            unknown,
        ),
    ] {
        let error = call(given).await.error.unwrap();
        assert_eq!(error.function_argument, Some(index), "{}", error.text);
        assert_eq!(error.text, why);
    }
    let mut given = arguments("a".into(), Value::Null, Value::Null);
    given[2] = garbage().unwrap();
    assert_eq!(call(given).await.error.unwrap().function_argument, Some(2));
}

#[tokio::test]
async fn too_few_arguments_are_an_error_that_counts_them() {
    let mut given = arguments("a".into(), Value::Null, Value::Null);
    given.pop();
    let error = call(given).await.error.unwrap();
    assert_eq!(error.text, "It takes at least 3 arguments, and 2 came.");
}

#[tokio::test]
async fn mistakes_of_the_author_are_errors_of_the_call() {
    for (name, why) in [
        ("number", "result can't be encoded"),
        ("beyond", "There is no argument 100."),
        ("panic", "The provider failed in the function describe"),
    ] {
        let answer = call(arguments(name.into(), Value::Null, Value::Null)).await;
        let error = answer.error.unwrap();
        assert!(error.text.contains(why), "{}", error.text);
    }
}

#[tokio::test]
async fn a_signature_tells_what_each_parameter_allows() {
    let bench = Bench::configured().await;
    let request = wire::get_functions::Request {};
    let answer = bench
        .client
        .clone()
        .get_functions(request)
        .await
        .unwrap()
        .into_inner();
    let function = &answer.functions["describe"];
    assert_eq!(function.deprecation_message, "Look yourself.");
    let variadic = function.variadic_parameter.iter();
    let allowed: Vec<(bool, bool)> = function
        .parameters
        .iter()
        .chain(variadic)
        .map(|of| (of.allow_null_value, of.allow_unknown_values))
        .collect();
    assert_eq!(
        allowed,
        [(false, false), (true, false), (true, true), (false, false)]
    );
}
