//! The steps that change a planned value: defaults, unknown computed attributes, modifiers.

use std::collections::BTreeMap;

use super::walk::{Level, at, change_objects, element, objects};
use crate::Path;
use crate::path::Step;
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
            change_objects(value, &mut |step, object| {
                if let Some(config) = counterpart(config, step.as_ref(), object) {
                    change(&nested, object, config);
                }
            });
        }
    }
}

/// The configuration of a planned object. In a set it is the one whose configured attributes the
/// planned object has.
fn counterpart<'a>(config: &'a Value, step: Option<&Step>, planned: &Value) -> Option<&'a Value> {
    if step != Some(&Step::SetElement) {
        return element(config, step);
    }
    objects(config)
        .into_iter()
        .map(|(_, object)| object)
        .find(|object| covers(planned, object))
}

/// Whether everything that is configured is planned so.
fn covers(planned: &Value, config: &Value) -> bool {
    match (planned, config) {
        (_, Value::Null) => true,
        (Value::Object(planned), Value::Object(config)) => config
            .iter()
            .all(|(name, config)| covers(planned.get(name).unwrap_or(&Value::Null), config)),
        (Value::List(planned), Value::List(config)) => {
            planned.len() == config.len()
                && planned
                    .iter()
                    .zip(config)
                    .all(|(planned, config)| covers(planned, config))
        }
        (Value::Map(planned), Value::Map(config)) => {
            planned.len() == config.len()
                && config.iter().all(|(key, config)| {
                    planned
                        .get(key)
                        .is_some_and(|planned| covers(planned, config))
                })
        }
        (Value::Set(planned), Value::Set(config)) => {
            planned.len() == config.len()
                && config
                    .iter()
                    .all(|config| planned.iter().any(|of| covers(of, config)))
        }
        (planned, config) => planned == config,
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
            let prior = prior.map(|prior| prior.attribute(name));
            let config = config.attribute(name);
            let path = path.clone().attribute(name);
            change_objects(value, &mut |step, object| {
                let prior = prior.and_then(|prior| former(prior, step.as_ref(), object));
                let config = counterpart(config, step.as_ref(), object).unwrap_or(&Value::Null);
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

/// What a planned object was before. In a set it is the element that agrees with everything that
/// is planned and known.
fn former<'a>(prior: &'a Value, step: Option<&Step>, planned: &Value) -> Option<&'a Value> {
    if step != Some(&Step::SetElement) {
        return element(prior, step);
    }
    objects(prior)
        .into_iter()
        .map(|(_, object)| object)
        .find(|object| agrees(object, planned))
}

/// Whether a value is what is planned, as far as that is known.
fn agrees(value: &Value, planned: &Value) -> bool {
    match (value, planned) {
        (_, Value::Unknown) => true,
        (Value::Object(value), Value::Object(planned)) => planned
            .iter()
            .all(|(name, planned)| agrees(value.get(name).unwrap_or(&Value::Null), planned)),
        (value, planned) => value == planned || !planned.is_wholly_known(),
    }
}
