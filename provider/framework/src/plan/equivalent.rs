//! Keeps what was where something else means the same: two spellings of one value are no change.
//!
//! Elements of a set are left alone, since they are only told to be the same by what they hold.

use super::walk::{Level, change_objects, element};
use crate::schema::Block;
use crate::value::Value;

/// Puts the known values of `before` back where the author says that those in `value` mean the
/// same.
pub(crate) fn keep_equivalent(block: &Block, value: &mut Value, before: &Value) {
    keep_level(&Level::of_block(block), value, before);
}

fn keep_level(level: &Level<'_>, object: &mut Value, before: &Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level.attributes {
        let (Some(same), Some(value)) =
            (&attribute.equivalent, attributes.get_mut(&attribute.name))
        else {
            continue;
        };
        let before = before.attribute(&attribute.name);
        let are_known = [before, value]
            .iter()
            .all(|value| !value.is_null() && value.is_wholly_known());
        if are_known && before != value && same(before, value) {
            *value = before.clone();
        }
    }
    for (name, nested) in level.nested() {
        let before = before.attribute(name);
        if let Some(value) = attributes.get_mut(name).filter(|value| *value != before) {
            change_objects(value, &mut |step, object| {
                if let Some(before) = element(before, step.as_ref()) {
                    keep_level(&nested, object, before);
                }
            });
        }
    }
}
