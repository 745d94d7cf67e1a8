//! The plan order, value by value.

use super::*;
use crate::schema::{Attribute, Block, BlockNesting, Modifier, Nesting, Shape};
use crate::{Attr, Set};

fn text(name: &str) -> Attribute {
    Attribute::of::<Attr<String>>(name)
}

fn schema(attributes: Vec<Attribute>) -> Schema {
    Schema {
        version: 0,
        block: Block {
            attributes,
            ..Block::default()
        },
    }
}

/// One resource: an identifier, a name that can't change, a port with a default, a secret, and a
/// stamp that every change renews.
fn host() -> Schema {
    schema(vec![
        text("id").computed().modifier(Modifier::UseStateForUnknown),
        text("name").required().modifier(Modifier::RequiresReplace),
        Attribute::of::<Attr<i64>>("port")
            .optional()
            .computed()
            .default_value(51_820_i64),
        text("secret").optional().write_only(),
        text("stamp").computed(),
    ])
}

fn values(pairs: &[(&str, Value)]) -> Value {
    Value::object(pairs.iter().map(|(name, value)| (*name, value.clone())))
}

fn config(name: &str) -> Value {
    values(&[
        ("id", Value::Null),
        ("name", name.into()),
        ("port", Value::Null),
        ("secret", "s3cret".into()),
        ("stamp", Value::Null),
    ])
}

fn state() -> Value {
    values(&[
        ("id", "1".into()),
        ("name", "a".into()),
        ("port", 51_820_i64.into()),
        ("secret", Value::Null),
        ("stamp", "monday".into()),
    ])
}

/// Terraform's own merge: what isn't configured stays, and write-only values come along.
fn proposed(name: &str) -> Value {
    let mut proposed = state();
    if let Value::Object(attributes) = &mut proposed {
        attributes.insert("name".to_owned(), name.into());
        attributes.insert("secret".to_owned(), "s3cret".into());
    }
    proposed
}

#[test]
fn a_create_fills_defaults_nulls_secrets_and_leaves_the_computed_open() {
    let planned = plan(&host(), &Value::Null, config("a"), &config("a"));
    assert_eq!(planned.value.attribute("port"), &Value::from(51_820_i64));
    assert_eq!(planned.value.attribute("secret"), &Value::Null);
    assert_eq!(planned.value.attribute("id"), &Value::Unknown);
    assert_eq!(planned.value.attribute("stamp"), &Value::Unknown);
    assert!(planned.requires_replace.is_empty());
}

#[test]
fn a_plan_without_changes_is_the_prior_state() {
    let planned = plan(&host(), &state(), proposed("a"), &config("a"));
    assert_eq!(planned.value, state());
    assert!(planned.requires_replace.is_empty());
}

#[test]
fn a_change_opens_the_computed_but_keeps_what_uses_its_state() {
    let schema = host();
    let mut changed = proposed("a");
    let mut configured = config("a");
    for value in [&mut changed, &mut configured] {
        if let Value::Object(attributes) = value {
            attributes.insert("port".to_owned(), 1_i64.into());
        }
    }
    let planned = plan(&schema, &state(), changed, &configured);
    assert_eq!(planned.value.attribute("port"), &Value::from(1_i64));
    assert_eq!(planned.value.attribute("id"), &Value::from("1"));
    assert_eq!(planned.value.attribute("stamp"), &Value::Unknown);
    assert!(planned.requires_replace.is_empty());
}

#[test]
fn a_change_of_an_attribute_that_requires_it_means_another_object() {
    let planned = plan(&host(), &state(), proposed("b"), &config("b"));
    assert_eq!(planned.requires_replace, [Path::root("name")]);
}

#[test]
fn a_value_that_is_configured_but_unknown_is_not_taken_from_the_state() {
    let schema = schema(vec![
        text("zone")
            .optional()
            .computed()
            .modifier(Modifier::UseStateForUnknown),
    ]);
    let prior = values(&[("zone", "north".into())]);
    let unknown = values(&[("zone", Value::Unknown)]);
    let planned = plan(&schema, &prior, unknown.clone(), &unknown);
    assert_eq!(planned.value.attribute("zone"), &Value::Unknown);
}

#[test]
fn a_removed_configuration_returns_to_the_default() {
    let schema = schema(vec![
        Attribute::of::<Attr<i64>>("port")
            .optional()
            .computed()
            .default_value(7_i64),
    ]);
    let prior = values(&[("port", 9_i64.into())]);
    let none = values(&[("port", Value::Null)]);
    let planned = plan(&schema, &prior, prior.clone(), &none);
    assert_eq!(planned.value.attribute("port"), &Value::from(7_i64));
}

fn sites(nesting: Nesting) -> Schema {
    let site = vec![
        text("endpoint").required(),
        text("address")
            .computed()
            .modifier(Modifier::UseStateForUnknown),
        Attribute::of::<Attr<i64>>("weight")
            .optional()
            .computed()
            .default_value(1_i64),
    ];
    schema(vec![
        Attribute::new("sites", Shape::Nested(nesting, site)).required(),
    ])
}

fn site(endpoint: &str, address: Value, weight: Value) -> Value {
    values(&[
        ("endpoint", endpoint.into()),
        ("address", address),
        ("weight", weight),
    ])
}

fn keyed(sites: &[(&str, Value)]) -> Value {
    let sites = sites
        .iter()
        .map(|(key, site)| ((*key).to_owned(), site.clone()))
        .collect();
    values(&[("sites", Value::Map(sites))])
}

#[test]
fn in_a_map_a_new_object_is_open_and_an_old_one_keeps_its_state() {
    let one = || Value::from(1_i64);
    let prior = keyed(&[("a", site("a:1", "10.0.0.1".into(), one()))]);
    let config = keyed(&[
        ("a", site("a:2", Value::Null, Value::Null)),
        ("b", site("b:1", Value::Null, Value::Null)),
    ]);
    let proposed = keyed(&[
        ("a", site("a:2", "10.0.0.1".into(), one())),
        ("b", site("b:1", Value::Null, Value::Null)),
    ]);
    let planned = plan(&sites(Nesting::Map), &prior, proposed, &config);
    let expected = keyed(&[
        ("a", site("a:2", "10.0.0.1".into(), one())),
        ("b", site("b:1", Value::Unknown, one())),
    ]);
    assert_eq!(planned.value, expected);
}

#[test]
fn in_a_set_an_object_is_found_again_by_what_is_configured() {
    let of = |sites: Vec<Value>| values(&[("sites", Value::set(sites))]);
    let one = || Value::from(1_i64);
    let prior = of(vec![site("a:1", "10.0.0.1".into(), one())]);
    let config = of(vec![
        site("b:1", Value::Null, Value::Null),
        site("a:1", Value::Null, Value::Null),
    ]);
    let proposed = of(vec![
        site("a:1", "10.0.0.1".into(), one()),
        site("b:1", Value::Null, Value::Null),
    ]);
    let planned = plan(&sites(Nesting::Set), &prior, proposed, &config);
    let expected = of(vec![
        site("a:1", "10.0.0.1".into(), one()),
        site("b:1", Value::Unknown, one()),
    ]);
    assert_eq!(planned.value, expected);
}

#[test]
fn in_a_list_a_change_that_requires_it_names_the_element() {
    let item = vec![text("disk").required().modifier(Modifier::RequiresReplace)];
    let schema = schema(vec![
        Attribute::new("disks", Shape::Nested(Nesting::List, item)).required(),
    ]);
    let disks = |names: &[&str]| {
        let disks = names
            .iter()
            .map(|name| values(&[("disk", (*name).into())]))
            .collect();
        values(&[("disks", Value::List(disks))])
    };
    let planned = plan(
        &schema,
        &disks(&["a", "b"]),
        disks(&["a", "c"]),
        &disks(&["a", "c"]),
    );
    assert_eq!(
        planned.requires_replace,
        [Path::root("disks").index(1).attribute("disk")]
    );
}

#[test]
fn a_condition_decides_which_change_means_another_object() {
    let shrinks = Modifier::requires_replace_if::<Attr<i64>>(|prior, planned| {
        planned.unwrap_or_default() < prior.unwrap_or_default()
    });
    let schema = schema(vec![
        Attribute::of::<Attr<i64>>("size")
            .required()
            .modifier(shrinks),
    ]);
    let size = |size: i64| values(&[("size", size.into())]);
    assert!(
        plan(&schema, &size(2), size(3), &size(3))
            .requires_replace
            .is_empty()
    );
    assert_eq!(
        plan(&schema, &size(3), size(2), &size(2)).requires_replace,
        [Path::root("size")]
    );
}

#[test]
fn a_nested_object_that_the_provider_sets_as_a_whole_is_open_as_a_whole() {
    let inner = vec![text("a").computed()];
    let schema = schema(vec![
        text("name").required(),
        Attribute::new("status", Shape::Nested(Nesting::Single, inner)).computed(),
    ]);
    let config = values(&[("name", "x".into()), ("status", Value::Null)]);
    let planned = plan(&schema, &Value::Null, config.clone(), &config);
    assert_eq!(planned.value.attribute("status"), &Value::Unknown);
}

#[test]
fn sets_of_plain_values_are_compared_without_order() {
    let schema = schema(vec![
        Attribute::of::<Attr<Set<String>>>("tags").optional(),
        text("x").computed(),
    ]);
    let of = |tags: [&str; 2], x: Value| {
        values(&[("tags", Value::set(tags.map(Value::from))), ("x", x)])
    };
    let prior = of(["a", "b"], "1".into());
    let config = of(["b", "a"], Value::Null);
    let planned = plan(&schema, &prior, of(["b", "a"], "1".into()), &config);
    assert_eq!(planned.value, prior);
}

#[test]
fn what_is_configured_and_should_not_be_is_warned_of_at_its_place() {
    let old = |name: &str| text(name).optional().deprecated("Use new.");
    let inner = Block {
        attributes: vec![old("colour")],
        deprecated: Some("Use another.".to_owned()),
        ..Block::default()
    };
    let mut schema = schema(vec![old("shade"), old("tint")]);
    let nested = |name| crate::schema::NestedBlock::new(name, BlockNesting::List, inner.clone());
    schema.block.blocks = vec![nested("paint"), nested("varnish")];
    let painted = Value::List(vec![values(&[("colour", "red".into())])]);
    let config = values(&[
        ("shade", Value::Unknown),
        ("paint", painted),
        ("varnish", Value::List(Vec::new())),
    ]);
    let mut found = crate::Diagnostics::new();
    validate(&schema.block, &config, &mut found);
    let said: Vec<_> = found
        .iter()
        .map(|one| format!("{}: {}", one.summary, one.detail))
        .collect();
    let expected = [
        "shade is deprecated: Use new.",
        "paint is deprecated: Use another.",
        "paint[0].colour is deprecated: Use new.",
    ];
    assert_eq!(said, expected);
    assert!(!found.has_errors());
}
