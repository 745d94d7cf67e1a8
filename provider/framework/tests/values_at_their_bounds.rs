//! What is huge is carried or refused with a sentence, and never with all the memory there is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use terraform_plugin::value::{DEPTH_MAX, Type, UnknownAttributes, VALUES_MAX, Value};

#[test]
fn what_is_nested_too_deep_is_refused_whatever_it_is() {
    let arrays = [vec![0x91; 10_000], vec![0xc0]].concat();
    let of = (0..DEPTH_MAX).fold(Type::String, |of, _| Type::list(of));
    // As deep as the type goes, and not a step further.
    assert!(message(&arrays, &of).contains("expected string, found an array"));
    let dynamic = [b"\x92\xc4\x09\"dynamic\"".repeat(10_000), vec![0xd4, 0, 0]].concat();
    assert!(message(&dynamic, &Type::Dynamic).contains("nested deeper than 128 levels"));
    let types = format!(
        "{}\"bool\"{}",
        "[\"list\",".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(Type::from_json_bytes(types.as_bytes()).is_err());
    let pairs = [
        r#"{"type":"dynamic","value":"#.repeat(10_000),
        "}".repeat(10_000),
    ]
    .concat();
    let read = Value::from_json(pairs.as_bytes(), &Type::Dynamic, UnknownAttributes::Ignore);
    assert!(read.is_err());
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    for (header, of) in [
        (0xdd, Type::list(Type::Bool)),
        (0xdd, Type::set(Type::Bool)),
        (0xdf, Type::map(Type::Bool)),
        (0xdb, Type::String),
        (0xc6, Type::String),
        (0xc9, Type::Bool),
    ] {
        let bytes = [&[header][..], &u32::MAX.to_be_bytes(), &[0xc2; 64]].concat();
        assert!(message(&bytes, &of).contains("cut short"), "{header:x}");
    }
}

#[test]
fn more_values_than_memory_has_room_for_are_refused() {
    let count = VALUES_MAX + 1;
    let header = [&[0xdd][..], &u32::try_from(count).unwrap().to_be_bytes()].concat();
    let bytes = [header, vec![0xc0; count]].concat();
    let refused = message(&bytes, &Type::list(Type::Bool));
    assert!(refused.contains("more than 4000000 values"), "{refused}");
}

#[test]
fn sixty_four_mebibytes_of_stored_state_are_read_and_more_are_refused() {
    let json = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
    let read = |json: &[u8]| Value::from_json(json, &Type::String, UnknownAttributes::Refuse);
    assert!(read(&json(64 << 20)).is_ok());
    let refused = read(&json((64 << 20) + 1)).unwrap_err();
    assert!(refused.to_string().contains("bytes of JSON"), "{refused}");
}

#[test]
fn a_set_of_ten_thousand_elements_is_one_set_in_whichever_order_it_comes() {
    let of = Type::set(Type::object([
        ("name", Type::String),
        ("size", Type::Number),
    ]));
    let element = |index: i64| {
        Value::object([
            ("name", Value::from(format!("element {index}"))),
            ("size", Value::from(index)),
        ])
    };
    let forward = Value::set((0..10_000).map(element));
    let backward = Value::set((0..10_000).rev().chain(0..10_000).map(element));
    assert_eq!(forward, backward);
    let bytes = forward.to_msgpack(&of).unwrap();
    assert_eq!(Value::from_msgpack(&bytes, &of).as_ref(), Ok(&backward));
    let json = forward.to_json(&of).unwrap();
    let read = Value::from_json(&json, &of, UnknownAttributes::Refuse);
    assert_eq!(read, Ok(forward));
}

fn message(bytes: &[u8], of: &Type) -> String {
    Value::from_msgpack(bytes, of).unwrap_err().to_string()
}
