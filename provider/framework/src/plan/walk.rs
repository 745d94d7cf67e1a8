//! Walks a value along its schema: validators, write-only attributes, unknown leaves.

use std::collections::BTreeMap;

use crate::path::Step;
use crate::schema::{Attribute, Block, BlockNesting, Shape};
use crate::value::Value;
use crate::{Diagnostic, Diagnostics, Path};

/// The objects in the value of a nested attribute or block, each with the step that leads to it.
pub(super) fn objects(value: &Value) -> Vec<(Option<Step>, &Value)> {
    match value {
        Value::Object(_) => vec![(None, value)],
        Value::List(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, of)| (Some(index_step(index)), of))
            .collect(),
        Value::Set(elements) => elements
            .iter()
            .map(|of| (Some(Step::SetElement), of))
            .collect(),
        Value::Map(elements) => elements
            .iter()
            .map(|(key, of)| (Some(Step::Key(key.clone())), of))
            .collect(),
        Value::Null
        | Value::Unknown
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Tuple(_)
        | Value::Dynamic(..) => Vec::new(),
    }
}

/// Changes each object in the value of a nested attribute or block.
pub(super) fn change_objects(value: &mut Value, change: &mut dyn FnMut(Option<Step>, &mut Value)) {
    match value {
        Value::Object(_) => change(None, value),
        Value::List(elements) => {
            for (index, of) in elements.iter_mut().enumerate() {
                change(Some(index_step(index)), of);
            }
        }
        Value::Map(elements) => {
            for (key, of) in elements {
                change(Some(Step::Key(key.clone())), of);
            }
        }
        Value::Set(elements) => {
            let mut changed = std::mem::take(elements);
            for of in &mut changed {
                change(Some(Step::SetElement), of);
            }
            // Changed elements may sort differently or fall together.
            *value = Value::set(changed);
        }
        Value::Null
        | Value::Unknown
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Tuple(_)
        | Value::Dynamic(..) => {}
    }
}

/// The path further in.
pub(super) fn at(path: &Path, step: Option<Step>) -> Path {
    match step {
        Some(step) => path.clone().step(step),
        None => path.clone(),
    }
}

/// Every nested level of a block: its name, its attributes and its own nested blocks.
pub(super) struct Level<'a> {
    pub(super) attributes: &'a [Attribute],
    pub(super) blocks: &'a [crate::schema::NestedBlock],
}

impl<'a> Level<'a> {
    pub(super) fn of_block(block: &'a Block) -> Self {
        Self {
            attributes: &block.attributes,
            blocks: &block.blocks,
        }
    }

    pub(super) fn of_attributes(attributes: &'a [Attribute]) -> Self {
        Self {
            attributes,
            blocks: &[],
        }
    }

    /// The levels below this one, each under its name.
    pub(super) fn nested(&self) -> impl Iterator<Item = (&'a str, Level<'a>)> + use<'a> {
        let attributes = self
            .attributes
            .iter()
            .filter_map(|attribute| match &attribute.shape {
                Shape::Type(_) => None,
                Shape::Nested(_, nested) => {
                    Some((attribute.name.as_str(), Level::of_attributes(nested)))
                }
            });
        let blocks = self
            .blocks
            .iter()
            .map(|nested| (nested.name.as_str(), Level::of_block(&nested.block)));
        attributes.chain(blocks)
    }
}

/// Runs every validator on the known values of a configuration, and warns of what is configured
/// and should no longer be used: Terraform itself warns only where such a value is read.
pub(crate) fn validate(block: &Block, config: &Value, diagnostics: &mut Diagnostics) {
    validate_level(&Level::of_block(block), config, &Path::empty(), diagnostics);
}

fn validate_level(level: &Level<'_>, object: &Value, path: &Path, diagnostics: &mut Diagnostics) {
    for attribute in level.attributes {
        let value = object.attribute(&attribute.name);
        if value.is_null() {
            continue;
        }
        warn_deprecated(
            &attribute.name,
            attribute.deprecated.as_ref(),
            path,
            diagnostics,
        );
        if value.is_unknown() {
            continue;
        }
        check_items(attribute, value, path, diagnostics);
        for validator in &attribute.validators {
            if let Err(diagnostic) = validator.check(value) {
                let at = path.clone().attribute(&attribute.name);
                let summary = format!("Invalid value of {at}");
                diagnostics.push(Diagnostic {
                    summary,
                    ..diagnostic.at(at)
                });
            }
        }
    }
    for nested in level.blocks {
        if !objects(object.attribute(&nested.name)).is_empty() {
            let message = nested.block.deprecated.as_ref();
            warn_deprecated(&nested.name, message, path, diagnostics);
        }
    }
    for (name, nested) in level.nested() {
        let path = path.clone().attribute(name);
        for (step, object) in objects(object.attribute(name)) {
            validate_level(&nested, object, &at(&path, step), diagnostics);
        }
    }
}

fn warn_deprecated(
    name: &str,
    message: Option<&String>,
    path: &Path,
    diagnostics: &mut Diagnostics,
) {
    if let Some(message) = message {
        let at = path.clone().attribute(name);
        diagnostics.warning_at(at.clone(), format!("{at} is deprecated"), message);
    }
}

/// Terraform itself counts blocks, but not the elements of attributes.
fn check_items(attribute: &Attribute, value: &Value, path: &Path, diagnostics: &mut Diagnostics) {
    let Attribute {
        items_min,
        items_max,
        ..
    } = *attribute;
    let count = match value {
        Value::List(elements) | Value::Set(elements) => elements.len(),
        Value::Map(elements) => elements.len(),
        Value::Null
        | Value::Unknown
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Tuple(_)
        | Value::Dynamic(..) => return,
    };
    // Elements of a set that aren't known yet may turn out to be the same.
    let may_shrink = matches!(value, Value::Set(_)) && !value.is_wholly_known();
    let wanted = if count < items_min {
        format!("at least {items_min}")
    } else if items_max != 0 && count > items_max && !may_shrink {
        format!("at most {items_max}")
    } else {
        return;
    };
    let at = path.clone().attribute(&attribute.name);
    let detail = format!("Elements: {count}; there have to be {wanted}.");
    diagnostics.push(Diagnostic::error(format!("Invalid value of {at}"), detail).at(at));
}

/// Write-only values are null in every plan and state.
pub(crate) fn nullify_write_only(block: &Block, value: &mut Value) {
    nullify_level(&Level::of_block(block), value);
}

fn nullify_level(level: &Level<'_>, object: &mut Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level
        .attributes
        .iter()
        .filter(|attribute| attribute.write_only)
    {
        if let Some(value) = attributes.get_mut(&attribute.name) {
            *value = Value::Null;
        }
    }
    for (name, nested) in level.nested() {
        if let Some(value) = attributes.get_mut(name) {
            change_objects(value, &mut |_, object| nullify_level(&nested, object));
        }
    }
}

/// Gives an author's code the configured write-only values in the plan that it carries out.
pub(crate) fn overlay_write_only(block: &Block, value: &mut Value, config: &Value) {
    overlay_level(&Level::of_block(block), value, config);
}

fn overlay_level(level: &Level<'_>, object: &mut Value, config: &Value) {
    let Value::Object(attributes) = object else {
        return;
    };
    for attribute in level
        .attributes
        .iter()
        .filter(|attribute| attribute.write_only)
    {
        let configured = config.attribute(&attribute.name).clone();
        attributes.insert(attribute.name.clone(), configured);
    }
    for (name, nested) in level.nested() {
        let config = config.attribute(name);
        if let Some(value) = attributes.get_mut(name) {
            change_objects(value, &mut |step, object| {
                if let Some(config) = element(config, step.as_ref()) {
                    overlay_level(&nested, object, config);
                }
            });
        }
    }
}

/// The object at the same place in another value. Elements of sets have no place.
pub(super) fn element<'a>(value: &'a Value, step: Option<&Step>) -> Option<&'a Value> {
    match (value, step) {
        (Value::Object(_), None) => Some(value),
        (Value::List(elements), Some(Step::Index(index))) => {
            elements.get(usize::try_from(*index).ok()?)
        }
        (Value::Map(elements), Some(Step::Key(key))) => elements.get(key),
        _ => None,
    }
}

/// Where a value that has to be wholly known isn't.
pub(crate) fn unknown_paths(value: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    collect_unknown(value, &Path::empty(), &mut found);
    found
}

fn collect_unknown(value: &Value, path: &Path, found: &mut Vec<Path>) {
    match value {
        Value::Unknown => found.push(path.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::List(elements) | Value::Tuple(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect_unknown(element, &path.clone().index(index), found);
            }
        }
        Value::Set(elements) => {
            for element in elements {
                collect_unknown(element, &path.clone().set_element(), found);
            }
        }
        Value::Map(elements) => {
            for (key, element) in elements {
                collect_unknown(element, &path.clone().key(key), found);
            }
        }
        Value::Object(attributes) => {
            for (name, attribute) in attributes {
                collect_unknown(attribute, &path.clone().attribute(name), found);
            }
        }
        Value::Dynamic(_, value) => collect_unknown(value, path, found),
    }
}

fn index_step(index: usize) -> Step {
    Step::Index(i64::try_from(index).unwrap_or(i64::MAX))
}

/// A null value in the shape that Terraform wants for a block: collections of blocks are empty,
/// and a group is there, and neither is ever null.
pub(crate) fn absent_blocks(block: &Block, value: &mut Value) {
    let Value::Object(attributes) = value else {
        return;
    };
    for nested in &block.blocks {
        let value = attributes.entry(nested.name.clone()).or_insert(Value::Null);
        if value.is_null() {
            *value = match nested.nesting {
                BlockNesting::Single => Value::Null,
                BlockNesting::List => Value::List(Vec::new()),
                BlockNesting::Set => Value::Set(Vec::new()),
                BlockNesting::Map => Value::Map(BTreeMap::new()),
                BlockNesting::Group => empty_object(&nested.block),
            };
        }
        change_objects(value, &mut |_, object| absent_blocks(&nested.block, object));
    }
}

fn empty_object(block: &Block) -> Value {
    let attributes = block.attributes.iter().map(|attribute| &attribute.name);
    Value::object(attributes.map(|name| (name, Value::Null)))
}
