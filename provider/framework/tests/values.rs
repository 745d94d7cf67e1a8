//! Values survive both encodings, and no bytes make a decoder panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use terraform_plugin::Path;
use terraform_plugin::value::{Refinement, Refinements, Type, UnknownAttributes, Value};

/// A failing run says which seed makes the same one again.
fn config() -> ProptestConfig {
    let seed = std::env::var("PROPTEST_RNG_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("PROPTEST_RNG_SEED={seed}");
    ProptestConfig {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

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
        // Any type but that of any type, which a value in such a place never has.
        Type::Dynamic => types()
            .prop_filter("not any type", |of| of != &Type::Dynamic)
            .prop_flat_map(move |of| {
                let values = values(&of, with_unknown);
                values.prop_map(move |value| Value::Dynamic(of.clone(), Box::new(value)))
            })
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

/// What may be known of an unknown value of this type.
fn refinement(of: &Type) -> BoxedStrategy<Refinement> {
    let nullness = prop_oneof![Just(Refinement::default()), Just(Refinement::not_null())];
    match of {
        Type::String => (nullness, "[^\\pM]{0,40}")
            .prop_map(|(refinement, prefix)| refinement.starting_with(&prefix))
            .boxed(),
        Type::Number => (nullness, any::<i64>(), any::<u8>())
            .prop_map(|(refinement, low, more)| {
                let high = i128::from(low) + 1 + i128::from(more);
                refinement.at_least(low).below(high)
            })
            .boxed(),
        Type::List(_) | Type::Set(_) | Type::Map(_) => (nullness, any::<u32>(), any::<u32>())
            .prop_map(|(refinement, low, more)| {
                let high = u64::from(low) + u64::from(more);
                refinement.with_at_least(low.into()).with_at_most(high)
            })
            .boxed(),
        Type::Bool | Type::Object(..) | Type::Tuple(_) => nullness.boxed(),
        Type::Dynamic => Just(Refinement::default()).boxed(),
    }
}

/// Says something of every unknown value that has a place.
fn refine(
    value: &Value,
    of: &Type,
    at: Path,
    seed: &mut impl FnMut(&Type) -> Refinement,
    all: &mut Refinements,
) {
    match (value, of) {
        (Value::Unknown, of) => all.insert(at, seed(of)),
        (Value::Dynamic(of, value), Type::Dynamic) => refine(value, of, at, seed, all),
        (Value::List(elements), Type::List(of)) => {
            for (index, element) in elements.iter().enumerate() {
                refine(element, of, at.clone().index(index), seed, all);
            }
        }
        (Value::Tuple(elements), Type::Tuple(of)) => {
            for (index, (element, of)) in elements.iter().zip(of).enumerate() {
                refine(element, of, at.clone().index(index), seed, all);
            }
        }
        (Value::Map(elements), Type::Map(of)) => {
            for (key, element) in elements {
                refine(element, of, at.clone().key(key), seed, all);
            }
        }
        (Value::Object(attributes), Type::Object(of, _)) => {
            for (name, of) in of {
                refine(
                    value.attribute(name),
                    of,
                    at.clone().attribute(name),
                    seed,
                    all,
                );
            }
            assert_eq!(attributes.len(), of.len());
        }
        _ => {}
    }
}

fn numbers() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "-?[1-9][0-9]{29}",
        any::<f64>()
            .prop_filter("finite", |float| float.is_finite())
            .prop_map(|float| float.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,80}(\\.[0-9]{1,80})?",
        "-?[0-9]{1,5}e-?[0-9]{1,4}",
    ];
    text.prop_map(|text| Value::Number(text.parse().unwrap()))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_known_of_unknown_values_comes_back_too(
        (of, value) in typed(true),
        strings in refinement(&Type::String),
        numbers in refinement(&Type::Number),
        collections in refinement(&Type::list(Type::Bool)),
        others in refinement(&Type::Bool),
    ) {
        let mut seed = |of: &Type| match of {
            Type::String => strings.clone(),
            Type::Number => numbers.clone(),
            Type::List(_) | Type::Set(_) | Type::Map(_) => collections.clone(),
            Type::Bool | Type::Object(..) | Type::Tuple(_) => others.clone(),
            Type::Dynamic => Refinement::default(),
        };
        let mut refinements = Refinements::default();
        refine(&value, &of, Path::empty(), &mut seed, &mut refinements);
        let bytes = value.to_msgpack_refined(&of, &refinements).unwrap();
        prop_assert_eq!(Value::from_msgpack_refined(&bytes, &of).unwrap(), (value, refinements));
    }

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
