//! The trait that a function's author writes.

use async_trait::async_trait;

use crate::schema::Shape;
use crate::value::Value;
use crate::{Field, Undecodable};

/// A function that configurations can call as `provider::<name>::<function>`.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Its name, without a prefix.
    const NAME: &'static str;

    /// What it takes and gives.
    fn signature(&self) -> Signature;

    /// Evaluates it. It has no client, since Terraform calls it at any time.
    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError>;
}

/// What a function takes and gives.
#[derive(Debug, Clone)]
pub struct Signature {
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variadic: Option<Parameter>,
    pub(crate) returns: Shape,
}

/// One parameter of a function.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) shape: Shape,
}

/// The arguments of one call, all known and none null. The variadic ones follow the others.
#[derive(Debug, Clone)]
pub struct Arguments(pub(crate) Vec<Value>);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    pub(crate) text: String,
    pub(crate) argument: Option<i64>,
}

impl Signature {
    /// A function without parameters that gives an `R`.
    pub fn returning<R: Field>(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            description: String::new(),
            parameters: Vec::new(),
            variadic: None,
            returns: R::shape(),
        }
    }

    /// Explains it, in Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter<T: Field>(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(Parameter::new::<T>(name, description));
        self
    }

    /// Takes any number of further arguments.
    #[must_use]
    pub fn variadic<T: Field>(mut self, name: &str, description: &str) -> Self {
        self.variadic = Some(Parameter::new::<T>(name, description));
        self
    }

    pub(crate) fn parameter_at(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }
}

impl Parameter {
    fn new<T: Field>(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            shape: T::shape(),
        }
    }
}

impl Arguments {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The argument at this position, from zero.
    pub fn get<T: Field>(&self, index: usize) -> Result<T, FunctionError> {
        let value = self.0.get(index).cloned().unwrap_or_default();
        T::decode(value).map_err(|error| match error {
            Undecodable::Unknown => FunctionError::at(index, "The value isn't known yet."),
            Undecodable::Invalid(diagnostic) => FunctionError::at(index, diagnostic.detail),
        })
    }
}

impl FunctionError {
    /// A failure of the whole call.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: None,
        }
    }

    /// A failure because of the argument at this position, from zero.
    pub fn at(index: usize, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: i64::try_from(index).ok(),
        }
    }
}
