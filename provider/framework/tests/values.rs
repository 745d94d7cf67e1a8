//! Values survive both encodings, and no bytes make a decoder panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use terraform_plugin::value::{Type, UnknownAttributes, Value};

/// A type, and a value of it that is known throughout or not.
fn typed(with_unknown: bool) -> impl Strategy<Value = (Type, Value)> {
    types().prop_flat_map(move |of| {
        let values = values(&of, with_unknown);
        (Just(of), values)
    })
}

fn types() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::Number),
        Just(Type::String),
        Just(Type::Dynamic)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            vec(inner.clone(), 0..4).prop_map(Type::Tuple),
            btree_map("[a-z]{1,6}", inner, 0..4).prop_map(Type::object),
        ]
    })
}

fn values(of: &Type, with_unknown: bool) -> BoxedStrategy<Value> {
    let known = known(of, with_unknown);
    if with_unknown {
        prop_oneof![8 => known, 1 => Just(Value::Null), 1 => Just(Value::Unknown)].boxed()
    } else {
        prop_oneof![8 => known, 1 => Just(Value::Null)].boxed()
    }
}

fn known(of: &Type, with_unknown: bool) -> BoxedStrategy<Value> {
    match of {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Number => numbers().boxed(),
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::Dynamic => prop_oneof![
            numbers().prop_map(|number| Value::Dynamic(Type::Number, Box::new(number))),
            vec(any::<String>(), 0..3).prop_map(|texts| {
                let texts = texts.into_iter().map(Value::String).collect();
                Value::Dynamic(Type::list(Type::String), Box::new(Value::List(texts)))
            }),
        ]
        .boxed(),
        Type::List(of) => vec(values(of, with_unknown), 0..5)
            .prop_map(Value::List)
            .boxed(),
        Type::Set(of) => vec(values(of, with_unknown), 0..5)
            .prop_map(Value::set)
            .boxed(),
        Type::Map(of) => btree_map(any::<String>(), values(of, with_unknown), 0..5)
            .prop_map(Value::Map)
            .boxed(),
        Type::Tuple(of) => of
            .iter()
            .map(|of| values(of, with_unknown))
            .collect::<Vec<_>>()
            .prop_map(Value::Tuple)
            .boxed(),
        Type::Object(of, _) => {
            let names: Vec<String> = of.keys().cloned().collect();
            of.values()
                .map(|of| values(of, with_unknown))
                .collect::<Vec<_>>()
                .prop_map(move |values| {
                    let pairs: BTreeMap<_, _> = names.iter().cloned().zip(values).collect();
                    Value::Object(pairs)
                })
                .boxed()
        }
    }
}

fn numbers() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,80}(\\.[0-9]{1,80})?",
        "-?[0-9]{1,5}e-?[0-9]{1,4}",
    ];
    text.prop_map(|text| Value::Number(text.parse().unwrap()))
}

proptest! {
    #[test]
    fn msgpack_gives_back_what_it_was_given((of, value) in typed(true)) {
        let bytes = value.to_msgpack(&of).unwrap();
        prop_assert_eq!(Value::from_msgpack(&bytes, &of).unwrap(), value);
    }

    #[test]
    fn json_gives_back_what_it_was_given((of, value) in typed(false)) {
        let bytes = value.to_json(&of).unwrap();
        prop_assert_eq!(Value::from_json(&bytes, &of, UnknownAttributes::Refuse).unwrap(), value);
    }

    #[test]
    fn types_give_back_what_they_were_given(of in types()) {
        prop_assert_eq!(Type::from_json_bytes(&of.to_json_bytes()).unwrap(), of);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(of in types(), bytes in vec(any::<u8>(), 0..256)) {
        let _ = Value::from_msgpack(&bytes, &of);
        let _ = Value::from_json(&bytes, &of, UnknownAttributes::Ignore);
        let _ = Type::from_json_bytes(&bytes);
    }

    #[test]
    fn damaged_bytes_are_a_value_or_an_error(
        (of, value) in typed(true),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = value.to_msgpack(&of).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = Value::from_msgpack(&bytes, &of);
        let _ = Value::from_msgpack(&bytes[..place], &of);
    }
}
