//! Each kind of attribute and block with two values, as they are configured and as the state holds
//! them.

use serde_json::{Value, json};

/// One kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Two configurations.
    pub(crate) configured: [&'static str; 2],
    /// What is in the state after each.
    pub(crate) stored: [Value; 2],
}

/// What the state holds of a kind that is not configured.
pub(crate) fn none(name: &str) -> Value {
    match name {
        "list_block" | "set_block" => json!([]),
        "map_block" => json!({}),
        "group_block" => json!({"text": null, "anything": null}),
        _ => Value::Null,
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Kind> {
    let mut kinds = simple();
    kinds.extend(collections());
    kinds.extend(nested());
    kinds.extend(blocks());
    kinds
}

fn kind(name: &'static str, first: (&'static str, Value), second: (&'static str, Value)) -> Kind {
    Kind {
        name,
        configured: [first.0, second.0],
        stored: [first.1, second.1],
    }
}

fn simple() -> Vec<Kind> {
    vec![
        kind(
            "text",
            ("text = \"test-value\"", json!("test-value")),
            ("text = \"\"", json!("")),
        ),
        kind(
            "truth",
            ("truth = true", json!(true)),
            ("truth = false", json!(false)),
        ),
        kind(
            "number",
            ("number = 1.5e-3", json!(0.0015)),
            (
                "number = 12345678901234567890",
                json!(12345678901234567890_u64),
            ),
        ),
        kind(
            "float",
            ("float = 1.23", json!(1.23)),
            ("float = -4", json!(-4)),
        ),
        kind(
            "short_float",
            ("short_float = 0.5", json!(0.5)),
            ("short_float = 1.25e30", json!(1.25e30)),
        ),
        kind(
            "integer",
            ("integer = 9223372036854775807", json!(i64::MAX)),
            ("integer = -9223372036854775808", json!(i64::MIN)),
        ),
        kind(
            "small",
            ("small = 2147483647", json!(i32::MAX)),
            ("small = 0", json!(0)),
        ),
        kind(
            "anything",
            ("anything = \"text\"", json!("text")),
            ("anything = [\"a\", \"b\"]", json!(["a", "b"])),
        ),
        kind(
            "object",
            (
                "object = { left = \"l\", right = \"text\" }",
                json!({"left": "l", "right": "text"}),
            ),
            (
                "object = { left = null, right = { deep = [1, true] } }",
                json!({"left": null, "right": {"deep": [1, true]}}),
            ),
        ),
    ]
}

fn collections() -> Vec<Kind> {
    vec![
        kind(
            "list",
            ("list = [\"b\", \"a\", \"b\"]", json!(["b", "a", "b"])),
            ("list = []", json!([])),
        ),
        kind(
            "set",
            ("set = [\"b\", \"a\", \"b\"]", json!(["a", "b"])),
            ("set = []", json!([])),
        ),
        kind(
            "map",
            (
                "map = { k = \"v\", n = null }",
                json!({"k": "v", "n": null}),
            ),
            ("map = {}", json!({})),
        ),
        kind(
            "lists",
            ("lists = [[1, 2], []]", json!([[1, 2], []])),
            ("lists = [[0.5]]", json!([[0.5]])),
        ),
    ]
}

fn nested() -> Vec<Kind> {
    let part = |text: Value, number: Value| json!({"text": text, "number": number, "deeper": null});
    vec![
        kind(
            "single",
            (
                "single = { text = \"s\", anything = 1 }",
                json!({"text": "s", "anything": 1}),
            ),
            (
                "single = { anything = { a = \"x\" } }",
                json!({"text": null, "anything": {"a": "x"}}),
            ),
        ),
        kind(
            "list_nested",
            (
                "list_nested = [{ text = \"a\" }, { number = 1 }]",
                json!([part(json!("a"), json!(null)), part(json!(null), json!(1))]),
            ),
            (
                "list_nested = [{ deeper = { k = { truth = true, list = [\"x\"] } } }]",
                json!([{"text": null, "number": null, "deeper": {"k": {"truth": true, "list": ["x"]}}}]),
            ),
        ),
        kind(
            "set_nested",
            (
                "set_nested = [{ text = \"b\" }, { text = \"a\", number = 2 }]",
                json!([part(json!("a"), json!(2)), part(json!("b"), json!(null))]),
            ),
            (
                "set_nested = [{ text = \"b\", number = 3 }]",
                json!([part(json!("b"), json!(3))]),
            ),
        ),
        kind(
            "map_nested",
            (
                "map_nested = { one = { text = \"a\" }, two = {} }",
                json!({"one": part(json!("a"), json!(null)), "two": part(json!(null), json!(null))}),
            ),
            (
                "map_nested = { two = { number = 0 } }",
                json!({"two": part(json!(null), json!(0))}),
            ),
        ),
    ]
}

fn blocks() -> Vec<Kind> {
    let part = |text: &str| json!({"text": text, "number": null, "deeper": null});
    vec![
        kind(
            "single_block",
            (
                "single_block {\n text = \"b\"\n }",
                json!({"text": "b", "anything": null}),
            ),
            (
                "single_block {\n anything = [true]\n }",
                json!({"text": null, "anything": [true]}),
            ),
        ),
        kind(
            "list_block",
            (
                "list_block {\n text = \"o\"\n inner {\n text = \"i\"\n }\n }\n list_block {\n }",
                json!([{"text": "o", "inner": [part("i")]}, {"text": null, "inner": []}]),
            ),
            (
                "list_block {\n text = \"p\"\n }",
                json!([{"text": "p", "inner": []}]),
            ),
        ),
        kind(
            "set_block",
            (
                "set_block {\n text = \"b\"\n }\n set_block {\n text = \"a\"\n }",
                json!([part("a"), part("b")]),
            ),
            ("set_block {\n text = \"c\"\n }", json!([part("c")])),
        ),
        kind(
            "map_block",
            (
                "map_block \"k\" {\n text = \"a\"\n }\n map_block \"l\" {\n }",
                json!({"k": part("a"), "l": {"text": null, "number": null, "deeper": null}}),
            ),
            (
                "map_block \"l\" {\n text = \"b\"\n }",
                json!({"l": part("b")}),
            ),
        ),
        kind(
            "group_block",
            (
                "group_block {\n text = \"g\"\n }",
                json!({"text": "g", "anything": null}),
            ),
            (
                "group_block {\n anything = 5\n }",
                json!({"text": null, "anything": 5}),
            ),
        ),
    ]
}
