//! A schema as Markdown: attributes by what one has to do about them, nested ones below.

use std::fmt::Write as _;

use crate::schema::{Attribute, Block, BlockNesting, Modifier, NestedBlock, Nesting, Shape};
use crate::value::{Type, Value};

/// A part that has a section of its own further down.
struct Below<'a> {
    /// The names that lead to it.
    path: Vec<&'a str>,
    /// Of attributes or of a block.
    prefix: &'static str,
    level: Level<'a>,
}

/// What is listed under one heading.
#[derive(Clone, Copy)]
struct Level<'a> {
    attributes: &'a [Attribute],
    blocks: &'a [NestedBlock],
    /// What users write there is theirs only.
    is_read_only: bool,
}

/// What one has to do about an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    Required,
    Optional,
    ReadOnly,
}

/// All of a block, and of everything nested in it.
pub(super) fn of_block(block: &Block) -> String {
    let mut text = String::from("## Schema\n");
    let mut below = Vec::new();
    let level = Level {
        attributes: &block.attributes,
        blocks: &block.blocks,
        is_read_only: false,
    };
    list(&mut text, level, &[], "###", &mut below);
    // Sections follow in the order in which they are mentioned, each before what it mentions.
    while !below.is_empty() {
        let mut deeper = Vec::new();
        for part in below {
            let _ = write!(
                text,
                "\n<a id=\"{}\"></a>\n### Nested Schema for `{}`\n",
                anchor(part.prefix, &part.path),
                part.path.join(".")
            );
            list(&mut text, part.level, &part.path, "", &mut deeper);
        }
        below = deeper;
    }
    text
}

/// The name of a type, as Terraform users say it.
pub(super) fn type_name(of: &Type) -> String {
    match of {
        Type::Dynamic => "Dynamic".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::String => "String".to_owned(),
        Type::List(of) => format!("List of {}", type_name(of)),
        Type::Set(of) => format!("Set of {}", type_name(of)),
        Type::Map(of) => format!("Map of {}", type_name(of)),
        Type::Object(attributes, _) => {
            let each: Vec<String> = attributes
                .iter()
                .map(|(name, of)| format!("`{name}`: {}", type_name(of)))
                .collect();
            format!("Object ({})", each.join(", "))
        }
        Type::Tuple(elements) => {
            let each: Vec<String> = elements.iter().map(type_name).collect();
            format!("Tuple ({})", each.join(", "))
        }
    }
}

/// A type, as configurations write it.
pub(super) fn type_expression(of: &Type) -> String {
    match of {
        Type::Dynamic => "any".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Number => "number".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(of) => format!("list({})", type_expression(of)),
        Type::Set(of) => format!("set({})", type_expression(of)),
        Type::Map(of) => format!("map({})", type_expression(of)),
        Type::Object(attributes, _) => {
            let each: Vec<String> = attributes
                .iter()
                .map(|(name, of)| format!("{name} = {}", type_expression(of)))
                .collect();
            format!("object({{ {} }})", each.join(", "))
        }
        Type::Tuple(elements) => {
            let each: Vec<String> = elements.iter().map(type_expression).collect();
            format!("tuple([{}])", each.join(", "))
        }
    }
}

/// One line: descriptions are Markdown that may run over several.
pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list<'a>(
    text: &mut String,
    level: Level<'a>,
    path: &[&'a str],
    heading: &str,
    below: &mut Vec<Below<'a>>,
) {
    for (duty, title) in [
        (Duty::Required, "Required"),
        (Duty::Optional, "Optional"),
        (Duty::ReadOnly, "Read-Only"),
    ] {
        let mut lines: Vec<(&str, String)> = Vec::new();
        for attribute in level.attributes {
            if duty_of_attribute(attribute, level.is_read_only) == duty {
                lines.push((&attribute.name, attribute_line(attribute, path, below)));
            }
        }
        for block in level.blocks {
            if duty_of_block(block) == duty {
                lines.push((&block.name, block_line(block, path, below)));
            }
        }
        if lines.is_empty() {
            continue;
        }
        lines.sort_by_key(|(name, _)| *name);
        let _ = match heading {
            "" => write!(text, "\n{title}:\n\n"),
            heading => write!(text, "\n{heading} {title}\n\n"),
        };
        for (_, line) in lines {
            text.push_str(&line);
        }
    }
}

fn attribute_line<'a>(
    attribute: &'a Attribute,
    path: &[&'a str],
    below: &mut Vec<Below<'a>>,
) -> String {
    let mut marks = Vec::new();
    let mut link = String::new();
    match &attribute.shape {
        Shape::Type(of) => marks.push(type_name(of)),
        Shape::Nested(nesting, attributes) => {
            marks.push(
                match nesting {
                    Nesting::Single => "Attributes",
                    Nesting::List => "Attributes List",
                    Nesting::Set => "Attributes Set",
                    Nesting::Map => "Attributes Map",
                }
                .to_owned(),
            );
            let level = Level {
                attributes,
                blocks: &[],
                is_read_only: !attribute.required && !attribute.optional,
            };
            link = mention(below, path, &attribute.name, "nestedatt", level);
        }
    }
    for (is_so, mark) in [
        (attribute.sensitive, "Sensitive"),
        (attribute.write_only, "Write-only"),
        (attribute.deprecated.is_some(), "Deprecated"),
    ] {
        if is_so {
            marks.push(mark.to_owned());
        }
    }
    let mut line = format!("- `{}` ({})", attribute.name, marks.join(", "));
    push_sentence(&mut line, &attribute.description);
    if let Some(default) = attribute.default.as_ref().and_then(short_literal) {
        push_sentence(&mut line, &format!("Default: `{default}`."));
    }
    let replaces = |modifier: &Modifier| matches!(modifier, Modifier::RequiresReplace);
    if attribute.modifiers.iter().any(replaces) {
        push_sentence(&mut line, "A change makes a new object.");
    }
    push_sentence(&mut line, attribute.deprecated.as_deref().unwrap_or(""));
    push_sentence(&mut line, &link);
    line.push('\n');
    line
}

fn block_line<'a>(block: &'a NestedBlock, path: &[&'a str], below: &mut Vec<Below<'a>>) -> String {
    let mut marks = vec![
        match block.nesting {
            BlockNesting::Single => "Block",
            BlockNesting::List => "Block List",
            BlockNesting::Set => "Block Set",
            BlockNesting::Map => "Block Map",
            BlockNesting::Group => "Block Group",
        }
        .to_owned(),
    ];
    if block.items_min > 0 && block.nesting != BlockNesting::Single {
        marks.push(format!("Min: {}", block.items_min));
    }
    if block.items_max > 0 && block.nesting != BlockNesting::Single {
        marks.push(format!("Max: {}", block.items_max));
    }
    if block.block.deprecated.is_some() {
        marks.push("Deprecated".to_owned());
    }
    let level = Level {
        attributes: &block.block.attributes,
        blocks: &block.block.blocks,
        is_read_only: false,
    };
    let link = mention(below, path, &block.name, "nestedblock", level);
    let mut line = format!("- `{}` ({})", block.name, marks.join(", "));
    push_sentence(&mut line, &block.block.description);
    push_sentence(&mut line, block.block.deprecated.as_deref().unwrap_or(""));
    push_sentence(&mut line, &link);
    line.push('\n');
    line
}

fn mention<'a>(
    below: &mut Vec<Below<'a>>,
    path: &[&'a str],
    name: &'a str,
    prefix: &'static str,
    level: Level<'a>,
) -> String {
    let mut path = path.to_vec();
    path.push(name);
    let link = format!("(see [below](#{}))", anchor(prefix, &path));
    below.push(Below {
        path,
        prefix,
        level,
    });
    link
}

fn anchor(prefix: &str, path: &[&str]) -> String {
    format!("{prefix}--{}", path.join("--"))
}

fn duty_of_attribute(attribute: &Attribute, is_read_only: bool) -> Duty {
    if is_read_only {
        Duty::ReadOnly
    } else if attribute.required {
        Duty::Required
    } else if attribute.optional {
        Duty::Optional
    } else {
        Duty::ReadOnly
    }
}

fn duty_of_block(block: &NestedBlock) -> Duty {
    if block.items_min > 0 {
        Duty::Required
    } else {
        Duty::Optional
    }
}

fn push_sentence(line: &mut String, sentence: &str) {
    let sentence = in_one_line(sentence);
    if !sentence.is_empty() {
        line.push(' ');
        line.push_str(&sentence);
    }
}

/// A default as one would write it, where that is short.
fn short_literal(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(format!("\"{text}\"")),
        Value::Object(attributes) => {
            let each: Option<Vec<String>> = attributes
                .iter()
                .map(|(name, value)| Some(format!("{name} = {}", short_literal(value)?)))
                .collect();
            Some(format!("{{ {} }}", each?.join(", ")))
        }
        Value::Set(_)
        | Value::List(_)
        | Value::Tuple(_)
        | Value::Map(_)
        | Value::Dynamic(..)
        | Value::Null
        | Value::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_grouped_by_duty_and_nested_ones_follow_below() {
        let inner = Attribute::new("port", Shape::Type(Type::Number))
            .optional()
            .computed()
            .default_value(51820_i64)
            .description("Where\nit listens.");
        let nested = Shape::Nested(Nesting::Map, vec![inner]);
        let block = Block {
            attributes: vec![
                Attribute::new("sites", nested).required(),
                Attribute::new("secret", Shape::Type(Type::String))
                    .optional()
                    .sensitive()
                    .write_only()
                    .modifier(Modifier::RequiresReplace),
                Attribute::new("id", Shape::Type(Type::String)).computed(),
            ],
            ..Block::default()
        };
        let expected = "## Schema\n\n### Required\n\n- `sites` (Attributes Map) (see \
                        [below](#nestedatt--sites))\n\n### Optional\n\n- `secret` (String, \
                        Sensitive, Write-only) A change makes a new object.\n\n### \
                        Read-Only\n\n- `id` (String)\n\n<a id=\"nestedatt--sites\"></a>\n### \
                        Nested Schema for `sites`\n\nOptional:\n\n- `port` (Number) Where it \
                        listens. Default: `51820`.\n";
        assert_eq!(of_block(&block), expected);
    }
}
