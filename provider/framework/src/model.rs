//! An author's typed view of a configuration block: what `#[derive(Model)]` writes.

use std::collections::BTreeMap;

use crate::path::Step;
use crate::schema::Block;
use crate::value::Value;
use crate::{BlockField, Field, Undecodable};

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

/// Hands a model its attributes one by one.
#[derive(Debug)]
pub struct ObjectReader(pub(crate) BTreeMap<String, Value>);

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
