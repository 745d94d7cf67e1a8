//! The steps that change a planned value: defaults, unknown computed attributes, modifiers.

use std::collections::BTreeMap;

use super::matching::{Configured, Former};
use super::walk::{Level, at, change_objects};
use crate::Path;
use crate::schema::{Attribute, Block, Modifier};
use crate::value::Value;

/// Sets each attribute that has a default and isn't configured.
pub(super) fn apply_defaults(block: &Block, value: &mut Value, config: &Value) {
    defaults_level(&Level::of_block(block), value, config);
}

fn defaults_level(level: &Level<'_>, object: &mut Value, config: &Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level.attributes {
        if let Some(default) = &attribute.default
            && config.attribute(&attribute.name).is_null()
        {
            attributes.insert(attribute.name.clone(), default.clone());
        }
    }
    descend(level, attributes, config, &mut |nested, object, config| {
        defaults_level(nested, object, config);
    });
}

/// Marks what the provider may set and nobody configured.
pub(crate) fn mark_computed_unknown(block: &Block, value: &mut Value, config: &Value) {
    mark_level(&Level::of_block(block), value, config);
}

fn mark_level(level: &Level<'_>, object: &mut Value, config: &Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level.attributes {
        let is_open = attribute.computed && attribute.default.is_none();
        if is_open && config.attribute(&attribute.name).is_null() {
            attributes.insert(attribute.name.clone(), Value::Unknown);
        }
    }
    descend(level, attributes, config, &mut |nested, object, config| {
        mark_level(nested, object, config);
    });
}

/// Marks the blocks that the provider may set and nobody wrote. Only some callers take them, and
/// only those say that nobody did.
pub(crate) fn open_computed_blocks(block: &Block, value: &mut Value, config: &Value) {
    open_level(&Level::of_block(block), value, config);
}

fn open_level(level: &Level<'_>, object: &mut Value, config: &Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for block in level.blocks.iter().filter(|block| block.computed) {
        if config.attribute(&block.name).is_null() {
            attributes.insert(block.name.clone(), Value::Unknown);
        }
    }
    descend(level, attributes, config, &mut |nested, object, config| {
        open_level(nested, object, config);
    });
}

/// Goes into every nested object that is configured, together with its configuration. An object
/// that isn't configured was set by the provider as a whole, or by a default, and is left alone.
fn descend(
    level: &Level<'_>,
    attributes: &mut BTreeMap<String, Value>,
    config: &Value,
    change: &mut dyn FnMut(&Level<'_>, &mut Value, &Value),
) {
    for (name, nested) in level.nested() {
        let config = config.attribute(name);
        if config.is_null() {
            continue;
        }
        if let Some(value) = attributes.get_mut(name) {
            let configured = Configured::of(config);
            change_objects(value, &mut |step, object| {
                if let Some(config) = configured.counterpart(step.as_ref(), object) {
                    change(&nested, object, config);
                }
            });
        }
    }
}

/// Runs the modifiers of every attribute on an update.
pub(super) fn run_modifiers(
    block: &Block,
    value: &mut Value,
    prior: &Value,
    config: &Value,
    requires_replace: &mut Vec<Path>,
) {
    let mut run = Run { requires_replace };
    run.level(
        &Level::of_block(block),
        value,
        Some(prior),
        config,
        &Path::empty(),
    );
}

struct Run<'a> {
    requires_replace: &'a mut Vec<Path>,
}

impl Run<'_> {
    /// `prior` is absent where the object itself is new.
    fn level(
        &mut self,
        level: &Level<'_>,
        object: &mut Value,
        prior: Option<&Value>,
        config: &Value,
        path: &Path,
    ) {
        let Value::Object(attributes) = object else {
            return;
        };
        for attribute in level.attributes {
            let Some(value) = attributes.get_mut(&attribute.name) else {
                continue;
            };
            let prior = prior.map(|prior| prior.attribute(&attribute.name));
            let is_configured = !config.attribute(&attribute.name).is_null();
            self.attribute(attribute, value, prior, is_configured, path);
        }
        for (name, nested) in level.nested() {
            let Some(value) = attributes.get_mut(name) else {
                continue;
            };
            let former = prior.map(|prior| Former::of(prior.attribute(name)));
            let configured = Configured::of(config.attribute(name));
            let path = path.clone().attribute(name);
            change_objects(value, &mut |step, object| {
                let prior = former
                    .as_ref()
                    .and_then(|former| former.counterpart(step.as_ref(), object));
                let config = configured
                    .counterpart(step.as_ref(), object)
                    .unwrap_or(&Value::Null);
                self.level(&nested, object, prior, config, &at(&path, step));
            });
        }
    }

    fn attribute(
        &mut self,
        attribute: &Attribute,
        value: &mut Value,
        prior: Option<&Value>,
        is_configured: bool,
        path: &Path,
    ) {
        for modifier in &attribute.modifiers {
            let replaces = match modifier {
                Modifier::UseStateForUnknown => {
                    // A value that is configured, though not known yet, is the configuration's.
                    if let Some(prior) = prior
                        && value.is_unknown()
                        && !is_configured
                    {
                        *value = prior.clone();
                    }
                    false
                }
                Modifier::RequiresReplace => prior.unwrap_or(&Value::Null) != value,
                Modifier::RequiresReplaceIf(condition) => {
                    let prior = prior.unwrap_or(&Value::Null);
                    prior != value && condition(prior, value)
                }
            };
            if replaces {
                self.requires_replace
                    .push(path.clone().attribute(&attribute.name));
            }
        }
    }
}
