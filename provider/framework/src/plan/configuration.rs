//! From a state back to the configuration that would produce it.

use super::walk::{Level, change_objects};
use crate::schema::{Attribute, Block};
use crate::value::Value;

/// What of a state somebody would write: nothing that only the provider sets, nothing that is a
/// default anyway, and nothing that should no longer be used.
pub(crate) fn configuration(block: &Block, state: &mut Value) {
    clear(&Level::of_block(block), state, &is_needless);
}

/// Takes away what nobody may write, and nothing else.
pub(crate) fn only_configurable(block: &Block, config: &mut Value) {
    clear(&Level::of_block(block), config, &|attribute, _| {
        is_not_written(attribute)
    });
}

fn is_needless(attribute: &Attribute, value: &Value) -> bool {
    is_not_written(attribute)
        || (attribute.deprecated.is_some() && !attribute.required)
        || attribute.default.as_ref() == Some(value)
}

/// A write-only value is configured, but a state can't say which it was.
fn is_not_written(attribute: &Attribute) -> bool {
    attribute.write_only || !(attribute.required || attribute.optional)
}

fn clear(level: &Level<'_>, object: &mut Value, is_cleared: &dyn Fn(&Attribute, &Value) -> bool) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level.attributes {
        if let Some(value) = attributes.get_mut(&attribute.name)
            && is_cleared(attribute, value)
        {
            *value = Value::Null;
        }
    }
    for (name, nested) in level.nested() {
        if let Some(value) = attributes.get_mut(name) {
            change_objects(value, &mut |_, object| clear(&nested, object, is_cleared));
        }
    }
    // An object that the provider alone filled in isn't written either.
    for attribute in level.attributes.iter().filter(|of| of.computed) {
        if let Some(value) = attributes.get_mut(&attribute.name)
            && let Value::Object(inner) = value
            && inner.values().all(Value::is_null)
        {
            *value = Value::Null;
        }
    }
}
