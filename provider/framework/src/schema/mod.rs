//! What may be written in a configuration block, and what the framework does with each attribute
//! by itself. Schemas are data: nothing here reads or changes a value.

mod attribute;
mod check;
mod placement;
mod wire;

pub use attribute::{Attribute, Equivalence, IdentityPart, Modifier, ReplaceCondition, Validator};
pub(crate) use check::is_name;
pub(crate) use placement::Owner;

use crate::ComputedBlockField;
use crate::value::Type;

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
    /// The provider may set it where nobody wrote it, if the caller allows that.
    pub computed: bool,
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
    /// A map of them, by the block's label.
    Map,
    /// Exactly one, which is there even where nobody wrote it: then all in it is null.
    Group,
}

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
            computed: false,
        }
    }

    /// Blocks that the provider may set where nobody wrote them.
    pub fn computed<F: ComputedBlockField>(name: &str) -> Self {
        Self {
            computed: true,
            ..F::nested_block(name)
        }
    }

    /// Why it should no longer be used.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.block.deprecated = Some(message.into());
        self
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
            BlockNesting::Single | BlockNesting::Group => of,
            BlockNesting::Map => Type::map(of),
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
