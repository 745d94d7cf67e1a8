//! Values as Terraform sees them: dynamically typed, and possibly null or not yet known.
//!
//! This is the layer between the wire and an author's typed model. It never decides what a value
//! means; it only keeps it exactly, above all numbers of any length.

mod json;
mod msgpack;
mod number;
mod refinement;
mod types;

use std::collections::BTreeMap;
use std::fmt;

pub use number::{InvalidNumber, Number};
pub use refinement::{Bound, Refinement, Refinements};
pub use types::{InvalidType, Type};

pub use json::UnknownAttributes;

/// How deep values and types may nest before they are refused.
pub const DEPTH_MAX: usize = 128;

/// How many values one message may hold. It bounds memory: one byte of msgpack can stand for a
/// value, which takes far more than a byte here.
pub const VALUES_MAX: usize = 4_000_000;

/// One value of any type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A value that becomes known at apply.
    Unknown,
    /// A boolean.
    Bool(bool),
    /// An exact number.
    Number(Number),
    /// Text.
    String(String),
    /// Elements of one type, in order.
    List(Vec<Value>),
    /// Elements of one type, sorted and without duplicates. Make it with [`Value::set`].
    Set(Vec<Value>),
    /// Elements of one type by key.
    Map(BTreeMap<String, Value>),
    /// Attributes by name.
    Object(BTreeMap<String, Value>),
    /// Elements each of a type of its own.
    Tuple(Vec<Value>),
    /// A value that carries its type along, where the schema leaves the type open.
    Dynamic(Type, Box<Value>),
}

/// Why bytes are no value of the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", at(.path))]
pub struct ValueError {
    path: Vec<String>,
    message: String,
}

impl Value {
    /// A set of these elements: the order is lost and duplicates fall together.
    pub fn set(elements: impl IntoIterator<Item = Self>) -> Self {
        let mut elements: Vec<Self> = elements.into_iter().collect();
        elements.sort();
        // Two unknown elements may still become different ones.
        elements.dedup_by(|left, right| left == right && left.is_wholly_known());
        Self::Set(elements)
    }

    /// An object of these attributes.
    pub fn object<K: Into<String>>(attributes: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(
            attributes
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// Decodes msgpack by type.
    pub fn from_msgpack(bytes: &[u8], expected: &Type) -> Result<Self, ValueError> {
        msgpack::decode(bytes, expected).map(|(value, _)| value)
    }

    /// Decodes msgpack by type, and what is known of its unknown values all the same.
    pub fn from_msgpack_refined(
        bytes: &[u8],
        expected: &Type,
    ) -> Result<(Self, Refinements), ValueError> {
        msgpack::decode(bytes, expected)
    }

    /// Encodes to msgpack by type.
    pub fn to_msgpack(&self, expected: &Type) -> Result<Vec<u8>, ValueError> {
        self.to_msgpack_refined(expected, &Refinements::default())
    }

    /// Encodes to msgpack by type, and says what is known of its unknown values all the same.
    pub fn to_msgpack_refined(
        &self,
        expected: &Type,
        refinements: &Refinements,
    ) -> Result<Vec<u8>, ValueError> {
        msgpack::encode(self, expected, refinements)
    }

    /// Decodes JSON by type.
    pub fn from_json(
        bytes: &[u8],
        expected: &Type,
        unknown_attributes: UnknownAttributes,
    ) -> Result<Self, ValueError> {
        json::decode(bytes, expected, unknown_attributes)
    }

    /// Encodes to JSON by type. JSON has no way to say unknown.
    pub fn to_json(&self, expected: &Type) -> Result<Vec<u8>, ValueError> {
        json::encode(self, expected)
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether this is unknown as a whole.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether nothing in it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
            Self::List(elements) | Self::Set(elements) | Self::Tuple(elements) => {
                elements.iter().all(Self::is_wholly_known)
            }
            Self::Map(elements) | Self::Object(elements) => {
                elements.values().all(Self::is_wholly_known)
            }
            Self::Dynamic(_, value) => value.is_wholly_known(),
        }
    }

    /// The attribute of an object, or null where there is no such attribute or no object.
    pub fn attribute(&self, name: &str) -> &Self {
        const NULL: &Value = &Value::Null;
        match self {
            Self::Object(attributes) => attributes.get(name).unwrap_or(NULL),
            Self::Null
            | Self::Unknown
            | Self::Bool(_)
            | Self::Number(_)
            | Self::String(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::Map(_)
            | Self::Tuple(_)
            | Self::Dynamic(..) => NULL,
        }
    }

    /// The same value with its type, for a place that may hold any type.
    pub(crate) fn of_any_type(self, of: Type) -> Self {
        match of {
            // A value that is already of any type has its type.
            Type::Dynamic => self,
            of => Self::Dynamic(of, Box::new(self)),
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown => "an unknown value",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
            Self::Tuple(_) => "a tuple",
            Self::Dynamic(..) => "a dynamic value",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Self {
        Self::Number(value)
    }
}

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
        }
    }

    pub(crate) fn mismatch(expected: &Type, found: &str) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    /// The same error, seen from one level further out.
    pub(crate) fn inside(mut self, step: impl fmt::Display) -> Self {
        self.path.push(step.to_string());
        self
    }
}

/// Counts what one message may still hold.
pub(crate) struct Budget {
    values_left: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            values_left: VALUES_MAX,
        }
    }

    pub(crate) fn spend(&mut self, depth: usize) -> Result<(), ValueError> {
        if depth > DEPTH_MAX {
            return Err(ValueError::new(format!(
                "nested deeper than {DEPTH_MAX} levels"
            )));
        }
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or_else(|| ValueError::new(format!("more than {VALUES_MAX} values")))?;
        Ok(())
    }
}

fn at(path: &[String]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let steps: Vec<&str> = path.iter().rev().map(String::as_str).collect();
    format!(" at {}", steps.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_forgets_order_and_duplicates_but_keeps_each_unknown() {
        let left = Value::set(["b".into(), "a".into(), "b".into()]);
        let right = Value::set(["a".into(), "b".into()]);
        assert_eq!(left, right);
        assert_eq!(
            Value::set([Value::Unknown, Value::Unknown]),
            Value::Set(vec![Value::Unknown, Value::Unknown])
        );
    }

    #[test]
    fn one_unknown_leaf_makes_the_whole_not_wholly_known() {
        let value = Value::object([("a", Value::List(vec![1.into(), Value::Unknown]))]);
        assert!(!value.is_wholly_known());
        assert!(!value.is_unknown());
    }
}
