//! The trait that a function's author writes.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::schema::{Shape, is_name};
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
    pub(crate) deprecated: Option<String>,
    pub(crate) returns: Shape,
}

/// One parameter of a function.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) shape: Shape,
    pub(crate) allows: Allows,
}

/// What a parameter takes beside known values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allows {
    /// It may be null.
    pub null: bool,
    /// It may be unknown, or hold something unknown.
    pub unknown: bool,
}

/// A Rust type that an argument can have, which says what the argument may be: a `T` is known,
/// an `Option<T>` is known or null, an [`Attr<T>`](crate::Attr) is any of known, null and unknown.
///
/// Where Terraform has something unknown for a parameter that doesn't take it, it doesn't call
/// the function, and the result is unknown.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of an argument",
    note = "use what an attribute can hold, an `Option<_>` or `Attr<_>` of that"
)]
pub trait Argument: Sized {
    /// What the signature says of it.
    fn shape() -> Shape;

    /// What it may be beside known.
    fn allows() -> Allows;

    /// Reads it.
    fn decode(value: Value) -> Result<Self, Undecodable>;
}

/// The arguments of one call. The variadic ones follow the others.
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
            deprecated: None,
            returns: R::shape(),
        }
    }

    /// Explains it, in Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Says why it should no longer be used, and what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecated = Some(message.into());
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter<T: Argument>(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(Parameter::new::<T>(name, description));
        self
    }

    /// Takes any number of further arguments.
    #[must_use]
    pub fn variadic<T: Argument>(mut self, name: &str, description: &str) -> Self {
        self.variadic = Some(Parameter::new::<T>(name, description));
        self
    }

    /// What Terraform would refuse, or worse, take in another way than it was meant.
    pub(crate) fn mistakes(&self, name: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut names = BTreeSet::new();
        if !is_name(name) {
            mistakes.push(format!("{name}: a name is made of a-z, 0-9 and _."));
        }
        for parameter in self.parameters.iter().chain(&self.variadic) {
            let name = &parameter.name;
            if !is_name(name) {
                mistakes.push(format!(
                    "{name:?}: a parameter's name is made of a-z, 0-9 and _."
                ));
            }
            if !names.insert(name) {
                mistakes.push(format!("The parameter {name} comes twice."));
            }
        }
        mistakes
    }

    pub(crate) fn parameter_at(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }
}

impl Parameter {
    fn new<T: Argument>(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            shape: T::shape(),
            allows: T::allows(),
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
    pub fn get<T: Argument>(&self, index: usize) -> Result<T, FunctionError> {
        let value = self.0.get(index).cloned().ok_or_else(|| {
            let position = index.saturating_add(1);
            FunctionError::new(format!("There is no argument {position}."))
        })?;
        T::decode(value).map_err(|error| match error {
            Undecodable::Unknown => FunctionError::at(index, "The value isn't known yet."),
            Undecodable::Invalid(diagnostic) => FunctionError::at(index, diagnostic.detail),
        })
    }

    /// The arguments from this position on, from zero: the variadic ones.
    pub fn rest<T: Argument>(&self, from: usize) -> Result<Vec<T>, FunctionError> {
        (from..self.len()).map(|index| self.get(index)).collect()
    }
}

impl<T: Field> Argument for T {
    fn shape() -> Shape {
        T::shape()
    }

    fn allows() -> Allows {
        T::ALLOWS
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        T::decode(value)
    }
}

impl<T: Field> Argument for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn allows() -> Allows {
        Allows {
            null: true,
            ..T::ALLOWS
        }
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Null => Ok(None),
            value => T::decode(value).map(Some),
        }
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
