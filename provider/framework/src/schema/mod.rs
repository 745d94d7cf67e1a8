//! What may be written in a configuration block, and what the framework does with each attribute
//! by itself. Schemas are data: nothing here reads or changes a value.

mod check;
mod wire;

use std::fmt;
use std::sync::Arc;

use crate::value::{Type, Value};
use crate::{Attr, AttributeField, Diagnostic, Field};

/// A schema with the version that stored state carries.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The version of the state's form; raise it when state has to be upgraded.
    pub version: i64,
    /// What it holds.
    pub block: Block,
}

/// The attributes and blocks at one level.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// What it is, in Markdown.
    pub description: String,
    /// Why it should no longer be used.
    pub deprecated: Option<String>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Its nested blocks.
    pub blocks: Vec<NestedBlock>,
}

/// One attribute.
#[derive(Clone)]
pub struct Attribute {
    /// Its name in the configuration.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
    /// What it is for, in Markdown.
    pub description: String,
    /// Why it should no longer be used.
    pub deprecated: Option<String>,
    /// It has to be configured.
    pub required: bool,
    /// It may be configured.
    pub optional: bool,
    /// The provider may set it.
    pub computed: bool,
    /// Terraform doesn't print it.
    pub sensitive: bool,
    /// It is never stored, neither in the plan nor in the state.
    pub write_only: bool,
    /// Its value where it isn't configured.
    pub default: Option<Value>,
    /// What its known values have to meet.
    pub validators: Vec<Validator>,
    /// What happens to it in a plan.
    pub modifiers: Vec<Modifier>,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Values of a type.
    Type(Type),
    /// Objects with attributes of their own.
    Nested(Nesting, Vec<Attribute>),
}

/// How the objects of a nested attribute are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of them.
    List,
    /// A set of them.
    Set,
    /// A map of them.
    Map,
}

/// A block inside a block.
#[derive(Debug, Clone)]
pub struct NestedBlock {
    /// Its name in the configuration.
    pub name: String,
    /// How it repeats.
    pub nesting: BlockNesting,
    /// What it holds.
    pub block: Block,
    /// How many there have to be.
    pub items_min: i64,
    /// How many there may be; 0 for any number.
    pub items_max: i64,
}

/// How repeated blocks are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockNesting {
    /// One at most.
    Single,
    /// A list of them.
    List,
    /// A set of them.
    Set,
}

/// Checks one known value; the message says what is wrong with it.
#[derive(Clone)]
pub struct Validator(Arc<Check>);

type Check = dyn Fn(&Value) -> Result<(), Diagnostic> + Send + Sync;

/// What happens to an attribute in a plan.
#[derive(Clone)]
pub enum Modifier {
    /// On an update, an unknown value stays what it was.
    UseStateForUnknown,
    /// A changed value means another object.
    RequiresReplace,
    /// A changed value means another object where this says so: prior value, planned value.
    RequiresReplaceIf(ReplaceCondition),
}

/// Judges a change from the prior value to the planned one.
pub type ReplaceCondition = Arc<dyn Fn(&Value, &Value) -> bool + Send + Sync>;

impl Schema {
    /// The type of a value of this schema.
    pub fn value_type(&self) -> Type {
        self.block.value_type()
    }
}

impl Block {
    /// The type of a value of this block.
    pub fn value_type(&self) -> Type {
        let attributes = self
            .attributes
            .iter()
            .map(|attribute| (&attribute.name, attribute.shape.value_type()));
        let blocks = self
            .blocks
            .iter()
            .map(|block| (&block.name, block.value_type()));
        Type::object(
            attributes
                .chain(blocks)
                .map(|(name, of)| (name.clone(), of)),
        )
    }
}

impl NestedBlock {
    /// A block that may come any number of times.
    pub fn new(name: impl Into<String>, nesting: BlockNesting, block: Block) -> Self {
        Self {
            name: name.into(),
            nesting,
            block,
            items_min: 0,
            items_max: 0,
        }
    }

    /// Says what it is.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.block.description = text.into();
        self
    }

    fn value_type(&self) -> Type {
        let of = self.block.value_type();
        match self.nesting {
            BlockNesting::Single => of,
            BlockNesting::List => Type::list(of),
            BlockNesting::Set => Type::set(of),
        }
    }
}

impl Shape {
    /// The type of a value of this shape.
    pub fn value_type(&self) -> Type {
        match self {
            Self::Type(of) => of.clone(),
            Self::Nested(nesting, attributes) => {
                let names = attributes.iter().map(|attribute| attribute.name.clone());
                let types = attributes
                    .iter()
                    .map(|attribute| attribute.shape.value_type());
                nesting.collect(Type::object(names.zip(types)))
            }
        }
    }

    /// A collection of this shape. Objects in one collection stay nested attributes; deeper
    /// collections have a plain type, since the protocol knows no other way to say them.
    #[must_use]
    pub fn collected(self, nesting: Nesting) -> Self {
        match self {
            Self::Nested(Nesting::Single, attributes) => Self::Nested(nesting, attributes),
            other => Self::Type(nesting.collect(other.value_type())),
        }
    }
}

impl Nesting {
    fn collect(self, of: Type) -> Type {
        match self {
            Self::Single => of,
            Self::List => Type::list(of),
            Self::Set => Type::set(of),
            Self::Map => Type::map(of),
        }
    }
}

impl Attribute {
    /// An attribute of this shape.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        Self {
            name: name.into(),
            shape,
            description: String::new(),
            deprecated: None,
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            write_only: false,
            default: None,
            validators: Vec::new(),
            modifiers: Vec::new(),
        }
    }

    /// It has to be configured.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It may be configured.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The provider may set it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    /// Terraform doesn't print it.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// It is never stored.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// What it is for, in Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Why it should no longer be used.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecated = Some(message.into());
        self
    }

    /// Its value where it isn't configured.
    #[must_use]
    pub fn default_value<T: Field>(mut self, value: T) -> Self {
        self.default = Some(value.encode());
        self
    }

    /// What happens to it in a plan.
    #[must_use]
    pub fn modifier(mut self, modifier: Modifier) -> Self {
        self.modifiers.push(modifier);
        self
    }

    /// What its known values have to meet.
    #[must_use]
    pub fn validator(mut self, validator: Validator) -> Self {
        self.validators.push(validator);
        self
    }
}

impl Validator {
    /// A check of a typed value. The error's text becomes the diagnostic's detail.
    pub fn new<T: Field, E: fmt::Display>(
        check: impl Fn(&T) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |value| match T::decode(value.clone()) {
            Ok(typed) => {
                check(&typed).map_err(|error| Diagnostic::error("Invalid value", error.to_string()))
            }
            // What isn't known yet is checked once it is; what can't be read is reported where
            // the whole configuration is read.
            Err(_) => Ok(()),
        }))
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), Diagnostic> {
        (self.0)(value)
    }
}

impl Modifier {
    /// A change that means another object where the condition says so.
    pub fn requires_replace_if<F: AttributeField>(
        condition: impl Fn(&Attr<F::Inner>, &Attr<F::Inner>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::RequiresReplaceIf(Arc::new(move |prior, planned| {
            match (Attr::decode(prior.clone()), Attr::decode(planned.clone())) {
                (Ok(prior), Ok(planned)) => condition(&prior, &planned),
                // A value that can't be judged is taken for another object.
                _ => true,
            }
        }))
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attribute")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
