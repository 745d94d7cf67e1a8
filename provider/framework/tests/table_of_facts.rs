//! The compiled protocol and the table of facts say the same, both ways: a field with a wrong
//! number would be read as another one by Terraform, and nothing else would notice.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

const TABLE: &str = include_str!("../proto/tfplugin/v6.11.tsv");
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
const PACKAGE: &str = ".tfplugin6.";

#[test]
fn the_protocol_has_what_the_table_lists_and_nothing_else() {
    let table: BTreeSet<String> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    let compiled = compiled();
    let missing: Vec<_> = table.difference(&compiled).collect();
    let surplus: Vec<_> = compiled.difference(&table).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:#?} surplus {surplus:#?}"
    );
    assert!(table.len() > 300);
}

#[test]
fn the_service_has_thirty_six_calls() {
    let calls = compiled()
        .iter()
        .filter(|line| line.starts_with("rpc\t"))
        .count();
    assert_eq!(calls, 36);
}

/// The compiled protocol in the table's form.
fn compiled() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let file = set
        .file
        .iter()
        .find(|file| file.package() == "tfplugin6")
        .unwrap();
    let mut lines = BTreeSet::new();
    calls(file, &mut lines);
    for message in &file.message_type {
        message_lines(message.name(), message, &mut lines);
    }
    for of in &file.enum_type {
        enum_lines(of.name(), of, &mut lines);
    }
    lines
}

fn calls(file: &FileDescriptorProto, lines: &mut BTreeSet<String>) {
    let [service] = file.service.as_slice() else {
        panic!("one service")
    };
    assert_eq!(service.name(), "Provider");
    for method in &service.method {
        let streaming = match (method.client_streaming(), method.server_streaming()) {
            (false, false) => "-",
            (true, false) => "client",
            (false, true) => "server",
            (true, true) => "both",
        };
        let request = method.input_type().strip_prefix(PACKAGE).unwrap();
        let response = method.output_type().strip_prefix(PACKAGE).unwrap();
        lines.insert(format!(
            "rpc\t{}\t{request}\t{response}\t{streaming}",
            method.name()
        ));
    }
}

fn message_lines(name: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let is_scope = !message.nested_type.is_empty() || !message.enum_type.is_empty();
    if message.field.is_empty() && !is_scope {
        lines.insert(format!("field\t{name}\t-\t(empty)\t-\t-\t-"));
    }
    for field in &message.field {
        let (of, label, oneof) = describe(message, field);
        let (number, field) = (field.number(), field.name());
        lines.insert(format!(
            "field\t{name}\t{number}\t{field}\t{of}\t{label}\t{oneof}"
        ));
    }
    for nested in message
        .nested_type
        .iter()
        .filter(|nested| !is_map_entry(nested))
    {
        message_lines(&format!("{name}.{}", nested.name()), nested, lines);
    }
    for of in &message.enum_type {
        enum_lines(&format!("{name}.{}", of.name()), of, lines);
    }
}

fn enum_lines(name: &str, of: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    for value in &of.value {
        lines.insert(format!(
            "value\t{name}\t{}\t{}",
            value.number(),
            value.name()
        ));
    }
}

/// A field's type, label and oneof in the table's words.
fn describe(
    message: &DescriptorProto,
    field: &FieldDescriptorProto,
) -> (String, &'static str, String) {
    let entry = message.nested_type.iter().find(|nested| {
        is_map_entry(nested) && field.type_name().ends_with(&format!(".{}", nested.name()))
    });
    if let Some(entry) = entry {
        let [key, value] = entry.field.as_slice() else {
            panic!("a map has a key and a value")
        };
        return (
            format!("map<{},{}>", type_name(key), type_name(value)),
            "map",
            "-".to_owned(),
        );
    }
    let label = match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => "repeated",
        (_, true) => "optional",
        (_, false) => "singular",
    };
    let oneof = match field.oneof_index {
        Some(index) if !field.proto3_optional() => message.oneof_decl
            [usize::try_from(index).unwrap()]
        .name()
        .to_owned(),
        _ => "-".to_owned(),
    };
    (type_name(field), label, oneof)
}

fn type_name(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => {
            let name = field.type_name();
            name.strip_prefix(PACKAGE)
                .unwrap_or(name.trim_start_matches('.'))
                .to_owned()
        }
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}
