//! Schemas as the protocol says them.

use super::{Attribute, Block, BlockNesting, NestedBlock, Nesting, Schema, Shape};
use crate::proto::tfplugin6 as wire;

impl Schema {
    pub(crate) fn to_wire(&self) -> wire::Schema {
        wire::Schema {
            version: self.version,
            block: Some(self.block.to_wire(self.version)),
        }
    }
}

impl Block {
    fn to_wire(&self, version: i64) -> wire::schema::Block {
        wire::schema::Block {
            version,
            attributes: self.attributes.iter().map(Attribute::to_wire).collect(),
            block_types: self.blocks.iter().map(NestedBlock::to_wire).collect(),
            description: self.description.clone(),
            description_kind: wire::StringKind::Markdown.into(),
            deprecated: self.deprecated.is_some(),
            deprecation_message: self.deprecated.clone().unwrap_or_default(),
            computed: false,
        }
    }
}

impl NestedBlock {
    fn to_wire(&self) -> wire::schema::NestedBlock {
        use wire::schema::nested_block::NestingMode;
        let nesting = match self.nesting {
            BlockNesting::Single => NestingMode::Single,
            BlockNesting::List => NestingMode::List,
            BlockNesting::Set => NestingMode::Set,
            BlockNesting::Map => NestingMode::Map,
            BlockNesting::Group => NestingMode::Group,
        };
        let mut block = self.block.to_wire(0);
        block.computed = self.computed;
        wire::schema::NestedBlock {
            type_name: self.name.clone(),
            block: Some(block),
            nesting: nesting.into(),
            min_items: self.items_min,
            max_items: self.items_max,
        }
    }
}

impl Attribute {
    fn to_wire(&self) -> wire::schema::Attribute {
        // Terraform refuses an attribute that says both.
        let (of, nested) = match &self.shape {
            Shape::Type(of) => (of.to_json_bytes(), None),
            Shape::Nested(nesting, attributes) => {
                (Vec::new(), Some(self.nested_to_wire(*nesting, attributes)))
            }
        };
        wire::schema::Attribute {
            name: self.name.clone(),
            r#type: of,
            nested_type: nested,
            description: self.description.clone(),
            required: self.required,
            optional: self.optional,
            computed: self.computed,
            sensitive: self.sensitive,
            description_kind: wire::StringKind::Markdown.into(),
            deprecated: self.deprecated.is_some(),
            write_only: self.write_only,
            deprecation_message: self.deprecated.clone().unwrap_or_default(),
        }
    }

    fn nested_to_wire(&self, nesting: Nesting, attributes: &[Attribute]) -> wire::schema::Object {
        use wire::schema::object::NestingMode;
        let nesting = match nesting {
            Nesting::Single => NestingMode::Single,
            Nesting::List => NestingMode::List,
            Nesting::Set => NestingMode::Set,
            Nesting::Map => NestingMode::Map,
        };
        wire::schema::Object {
            attributes: attributes.iter().map(Attribute::to_wire).collect(),
            nesting: nesting.into(),
            min_items: i64::try_from(self.items_min).unwrap_or(i64::MAX),
            max_items: i64::try_from(self.items_max).unwrap_or(i64::MAX),
        }
    }
}
