//! What the framework itself does to a planned value, attribute by attribute, before the author's
//! own hook sees it.
//!
//! The order: defaults; write-only attributes become null; what means the same as before stays as
//! it was; computed attributes that aren't
//! configured become unknown, but only if something changes; then each attribute's modifiers. It
//! works on values and schemas alone and never calls author code but the conditions in a schema.

mod configuration;
mod consistency;
mod equivalent;
mod matching;
mod merge;
mod modify;
mod walk;

pub(crate) use configuration::{configuration, only_configurable};
pub(crate) use consistency::{contradictions, write_only_set};
pub(crate) use equivalent::keep_equivalent;
pub(crate) use merge::write_back;
pub(crate) use modify::{mark_computed_unknown, open_computed_blocks};
pub(crate) use walk::{
    absent_blocks, nullify_write_only, overlay_write_only, unknown_paths, validate,
};

use crate::Path;
use crate::schema::Schema;
use crate::value::Value;

/// A plan before the author's hook.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) value: Value,
    /// Changes that mean another object, unsorted.
    pub(crate) requires_replace: Vec<Path>,
}

/// Plans a create or an update. `proposed` is Terraform's own merge of configuration and prior
/// state.
pub(crate) fn plan(schema: &Schema, prior: &Value, proposed: Value, config: &Value) -> Planned {
    let mut value = proposed;
    modify::apply_defaults(&schema.block, &mut value, config);
    nullify_write_only(&schema.block, &mut value);
    keep_equivalent(&schema.block, &mut value, prior);
    if value != *prior {
        modify::mark_computed_unknown(&schema.block, &mut value, config);
    }
    let mut requires_replace = Vec::new();
    let is_update = !prior.is_null();
    if is_update {
        modify::run_modifiers(
            &schema.block,
            &mut value,
            prior,
            config,
            &mut requires_replace,
        );
    }
    Planned {
        value,
        requires_replace,
    }
}

#[cfg(test)]
mod tests;
