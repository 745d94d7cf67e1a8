//! What Terraform would refuse with less to say: a hook that contradicts the configuration, and a
//! write-only value for a caller that doesn't know such values and would store it.

use super::walk::{Level, at, element, objects};
use crate::Path;
use crate::schema::Block;
use crate::value::Value;

/// Where a hook changed what isn't its to change: attributes that are configured, or that the
/// provider never sets.
pub(crate) fn contradictions(
    block: &Block,
    before: &Value,
    after: &Value,
    config: &Value,
) -> Vec<Path> {
    let mut found = Vec::new();
    compare(
        &Level::of_block(block),
        [before, after, config],
        &Path::empty(),
        &mut found,
    );
    found
}

/// Where write-only values are configured.
pub(crate) fn write_only_set(block: &Block, config: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    collect(&Level::of_block(block), config, &Path::empty(), &mut found);
    found
}

fn compare(level: &Level<'_>, values: [&Value; 3], path: &Path, found: &mut Vec<Path>) {
    let nested: Vec<(&str, Level<'_>)> = level.nested().collect();
    for attribute in level.attributes {
        let [before, after, config] = values.map(|value| value.attribute(&attribute.name));
        let is_open = attribute.computed && config.is_null();
        if before == after || is_open {
            continue;
        }
        let path = path.clone().attribute(&attribute.name);
        let level = nested.iter().find(|(name, _)| *name == attribute.name);
        match level {
            Some((_, level)) => compare_objects(level, [before, after, config], &path, found),
            None => found.push(path),
        }
    }
    for block in level.blocks {
        let [before, after, config] = values.map(|value| value.attribute(&block.name));
        let is_open = block.computed && config.is_null();
        if before != after && !is_open {
            let path = path.clone().attribute(&block.name);
            let level = Level::of_block(&block.block);
            compare_objects(&level, [before, after, config], &path, found);
        }
    }
}

fn compare_objects(level: &Level<'_>, values: [&Value; 3], path: &Path, found: &mut Vec<Path>) {
    let [before, after, config] = values;
    let (old, new) = (objects(before), objects(after));
    let places = |objects: &[(Option<crate::Step>, &Value)]| {
        objects
            .iter()
            .map(|(step, _)| step.clone())
            .collect::<Vec<_>>()
    };
    if old.is_empty() || places(&old) != places(&new) {
        found.push(path.clone());
        return;
    }
    for ((step, before), (_, after)) in old.into_iter().zip(new) {
        // Elements of a set have no place by which the three could be told to be the same.
        if let Some(config) = element(config, step.as_ref()) {
            compare(level, [before, after, config], &at(path, step), found);
        }
    }
}

fn collect(level: &Level<'_>, object: &Value, path: &Path, found: &mut Vec<Path>) {
    for attribute in level
        .attributes
        .iter()
        .filter(|attribute| attribute.write_only)
    {
        if !object.attribute(&attribute.name).is_null() {
            found.push(path.clone().attribute(&attribute.name));
        }
    }
    for (name, nested) in level.nested() {
        let path = path.clone().attribute(name);
        for (step, object) in objects(object.attribute(name)) {
            collect(&nested, object, &at(&path, step), found);
        }
    }
}
