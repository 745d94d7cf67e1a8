//! What is comparable about two providers: their schemas without the descriptions.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message as _;
use terraform_plugin::value::Type;

use crate::Result;
use crate::wire::{Attribute, Schema, Schemas};

/// How large a schema is.
#[derive(Debug)]
pub(crate) struct Size {
    bytes: usize,
    resources: usize,
    others: usize,
    attributes: usize,
}

impl Schemas {
    pub(crate) fn size(&self) -> Size {
        let blocks = self.all().filter_map(|(_, schema)| schema.block.as_ref());
        Size {
            bytes: self.encoded_len(),
            resources: self.resources.len(),
            others: self.data_sources.len() + self.ephemeral.len(),
            attributes: blocks.map(|block| block.attributes.len()).sum(),
        }
    }

    /// Fails with the first thing that one provider has and the other has not, or has otherwise.
    pub(crate) fn same_as(&self, other: &Self) -> Result<()> {
        let (ours, theirs) = (self.facts()?, other.facts()?);
        for (left, right) in [(&ours, &theirs), (&theirs, &ours)] {
            for (name, fact) in left {
                if right.get(name) != Some(fact) {
                    let [ours, theirs] = [ours.get(name), theirs.get(name)];
                    return Err(format!(
                        "the schemas differ in {name}: {ours:?} in the first, {theirs:?} in the second"
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (String, &Schema)> {
        let named = |kind: &'static str, of: &BTreeMap<String, Schema>| {
            let names = of.keys().map(|name| format!("{kind} {name}"));
            names.collect::<Vec<_>>()
        };
        let provider = self.provider.iter().map(|of| ("provider".to_owned(), of));
        let resources = named("resource", &self.resources);
        let data_sources = named("data source", &self.data_sources);
        let ephemeral = named("ephemeral", &self.ephemeral);
        provider
            .chain(resources.into_iter().zip(self.resources.values()))
            .chain(data_sources.into_iter().zip(self.data_sources.values()))
            .chain(ephemeral.into_iter().zip(self.ephemeral.values()))
    }

    /// Everything that a user could notice, by its name.
    fn facts(&self) -> Result<BTreeMap<String, String>> {
        let mut facts = BTreeMap::new();
        for (name, schema) in self.all() {
            let block = schema.block.clone().unwrap_or_default();
            let blocks = block.blocks.len();
            facts.insert(
                name.clone(),
                format!("version {}, {blocks} blocks", schema.version),
            );
            for attribute in &block.attributes {
                facts.insert(format!("{name}.{}", attribute.name), fact(attribute)?);
            }
        }
        Ok(facts)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            resources,
            others,
            attributes,
        } = self;
        write!(
            formatter,
            "{resources} resources, {others} data sources and ephemeral resources, \
             {attributes} attributes at their top level, {bytes} bytes without descriptions"
        )
    }
}

fn fact(attribute: &Attribute) -> Result<String> {
    let Attribute {
        name: _,
        of,
        required,
        optional,
        computed,
        sensitive,
        deprecated,
    } = attribute;
    let of = if of.is_empty() {
        "nested".to_owned()
    } else {
        Type::from_json_bytes(of)?.to_string()
    };
    let flags = [
        ("required", required),
        ("optional", optional),
        ("computed", computed),
        ("sensitive", sensitive),
        ("deprecated", deprecated),
    ];
    let flags = flags.into_iter().filter(|(_, is_set)| **is_set);
    Ok(flags.fold(of, |fact, (flag, _)| format!("{fact} {flag}")))
}
