//! An author's typed view of a configuration block: what `#[derive(Model)]` writes.

use std::collections::BTreeMap;

use crate::path::Step;
use crate::schema::{Block, BlockNesting, NestedBlock};
use crate::value::Value;
use crate::{Attr, Field, Set, Undecodable};

/// A struct whose fields are the attributes and blocks of a schema. Derive it.
///
/// The derive also writes `Debug`, with sensitive and write-only attributes left out.
pub trait Model: Sized + Send + Sync + 'static {
    /// The schema of it.
    fn block() -> Block;

    /// Reads the object.
    fn from_object(object: ObjectReader) -> Result<Self, Undecodable>;

    /// Writes the object.
    fn into_object(self) -> ObjectWriter;

    /// Reads the value of a block or object.
    fn from_value(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Object(attributes) => Self::from_object(ObjectReader(attributes)),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("an object", &found)),
        }
    }

    /// The value of it.
    fn into_value(self) -> Value {
        Value::Object(self.into_object().0)
    }
}

/// A field of a model that holds nested blocks: `Option<M>`, `Vec<M>` or `Set<M>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't hold nested blocks",
    note = "use Option<M> for a single block, Vec<M> for a list or Set<M> for a set, where M derives Model"
)]
pub trait BlockField: Sized {
    /// The block and how it repeats.
    fn nested_block(name: &str) -> NestedBlock;

    /// Reads the block's value.
    fn decode_block(value: Value) -> Result<Self, Undecodable>;

    /// Writes the block's value.
    fn encode_block(self) -> Value;
}

/// Hands a model its attributes one by one.
#[derive(Debug)]
pub struct ObjectReader(BTreeMap<String, Value>);

/// Gathers a model's attributes.
#[derive(Debug, Default)]
pub struct ObjectWriter(BTreeMap<String, Value>);

impl ObjectReader {
    /// One attribute.
    pub fn attribute<F: Field>(&mut self, name: &str) -> Result<F, Undecodable> {
        let value = self.0.remove(name).unwrap_or_default();
        F::decode(value).map_err(|error| error.inside(Step::Attribute(name.to_owned())))
    }

    /// One nested block.
    pub fn block<F: BlockField>(&mut self, name: &str) -> Result<F, Undecodable> {
        let value = self.0.remove(name).unwrap_or_default();
        F::decode_block(value).map_err(|error| error.inside(Step::Attribute(name.to_owned())))
    }
}

impl ObjectWriter {
    /// An object without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one attribute.
    pub fn attribute<F: Field>(&mut self, name: &str, field: F) {
        self.0.insert(name.to_owned(), field.encode());
    }

    /// Adds one nested block.
    pub fn block<F: BlockField>(&mut self, name: &str, field: F) {
        self.0.insert(name.to_owned(), field.encode_block());
    }
}

impl<M: Model> BlockField for Option<M> {
    fn nested_block(name: &str) -> NestedBlock {
        NestedBlock::new(name, BlockNesting::Single, M::block())
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Null => Ok(None),
            present => M::from_value(present).map(Some),
        }
    }

    fn encode_block(self) -> Value {
        self.map_or(Value::Null, M::into_value)
    }
}

impl<M: Model> BlockField for Vec<M> {
    fn nested_block(name: &str) -> NestedBlock {
        NestedBlock::new(name, BlockNesting::List, M::block())
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::List(elements) => elements.into_iter().map(M::from_value).collect(),
            // A dynamic block over an unknown collection: its blocks come at apply.
            Value::Null | Value::Unknown => Ok(Self::new()),
            found => Err(Undecodable::mismatch("a list of blocks", &found)),
        }
    }

    fn encode_block(self) -> Value {
        Value::List(self.into_iter().map(M::into_value).collect())
    }
}

impl<M: Model> BlockField for Set<M> {
    fn nested_block(name: &str) -> NestedBlock {
        NestedBlock::new(name, BlockNesting::Set, M::block())
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Set(elements) => elements.into_iter().map(M::from_value).collect(),
            Value::Null | Value::Unknown => Ok(Self::default()),
            found => Err(Undecodable::mismatch("a set of blocks", &found)),
        }
    }

    fn encode_block(self) -> Value {
        Value::set(self.into_iter().map(M::into_value))
    }
}

impl<M: Model> BlockField for Attr<Vec<M>> {
    fn nested_block(name: &str) -> NestedBlock {
        Vec::<M>::nested_block(name)
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Unknown => Ok(Self::Unknown),
            present => Vec::decode_block(present).map(Self::Known),
        }
    }

    fn encode_block(self) -> Value {
        match self {
            Self::Known(blocks) => blocks.encode_block(),
            Self::Null => Value::List(Vec::new()),
            Self::Unknown => Value::Unknown,
        }
    }
}

/// A model without attributes, for a provider that needs no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

impl Model for Empty {
    fn block() -> Block {
        Block::default()
    }

    fn from_object(_: ObjectReader) -> Result<Self, Undecodable> {
        Ok(Self)
    }

    fn into_object(self) -> ObjectWriter {
        ObjectWriter::new()
    }
}
