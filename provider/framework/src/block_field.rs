//! What a field of a model may be that holds nested blocks. The Rust type alone says how they
//! repeat.

use std::collections::BTreeMap;

use crate::model::ObjectReader;
use crate::path::Step;
use crate::schema::{BlockNesting, NestedBlock};
use crate::value::Value;
use crate::{Attr, Model, Set, Undecodable};

/// A field of a model that holds nested blocks: `Option<M>`, `Vec<M>`, `Set<M>`,
/// `BTreeMap<String, M>`, a bare `M` for a group, or an `Attr` around one of the collections or a
/// model, which may be unknown.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't hold nested blocks",
    note = "use Option<M> for a single block, Vec<M> for a list, Set<M> for a set, BTreeMap<String, M> for a map or M for a group, where M derives Model"
)]
pub trait BlockField: Sized {
    /// The block and how it repeats.
    fn nested_block(name: &str) -> NestedBlock;

    /// Reads the block's value.
    fn decode_block(value: Value) -> Result<Self, Undecodable>;

    /// Writes the block's value.
    fn encode_block(self) -> Value;
}

/// Blocks that the provider may compute: an `Attr`, since they are unknown until then.
#[diagnostic::on_unimplemented(
    message = "computed blocks have to be an `Attr<_>`, so that they can be unknown",
    label = "write `Attr<{Self}>`",
    note = "use Attr<M>, Attr<Vec<M>>, Attr<Set<M>> or Attr<BTreeMap<String, M>>, where M derives Model"
)]
pub trait ComputedBlockField: BlockField {}

/// What may be in an `Attr` of blocks: one model, or a collection of them.
pub trait OpenBlocks: Sized {
    #[doc(hidden)]
    fn nested(name: &str) -> NestedBlock;
    #[doc(hidden)]
    fn decode(value: Value) -> Result<Self, Undecodable>;
    #[doc(hidden)]
    fn encode(self) -> Value;
    #[doc(hidden)]
    fn absent() -> Value;
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

impl<M: Model> BlockField for BTreeMap<String, M> {
    fn nested_block(name: &str) -> NestedBlock {
        NestedBlock::new(name, BlockNesting::Map, M::block())
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Map(elements) => elements
                .into_iter()
                .map(|(key, element)| match M::from_value(element) {
                    Ok(model) => Ok((key, model)),
                    Err(error) => Err(error.inside(Step::Key(key))),
                })
                .collect(),
            Value::Null | Value::Unknown => Ok(Self::new()),
            found => Err(Undecodable::mismatch("a map of blocks", &found)),
        }
    }

    fn encode_block(self) -> Value {
        let elements = self.into_iter();
        Value::Map(elements.map(|(key, of)| (key, of.into_value())).collect())
    }
}

/// A group: one block that is always there.
impl<M: Model> BlockField for M {
    fn nested_block(name: &str) -> NestedBlock {
        NestedBlock::new(name, BlockNesting::Group, M::block())
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Null => M::from_object(ObjectReader(BTreeMap::new())),
            present => M::from_value(present),
        }
    }

    fn encode_block(self) -> Value {
        self.into_value()
    }
}

/// Blocks that may be unknown as a whole: those of a dynamic block over an unknown collection, or
/// those that the provider computes.
impl<B: OpenBlocks> BlockField for Attr<B> {
    fn nested_block(name: &str) -> NestedBlock {
        B::nested(name)
    }

    fn decode_block(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Unknown => Ok(Self::Unknown),
            Value::Null => Ok(Self::Null),
            present => B::decode(present).map(Self::Known),
        }
    }

    fn encode_block(self) -> Value {
        match self {
            Self::Known(blocks) => blocks.encode(),
            Self::Null => B::absent(),
            Self::Unknown => Value::Unknown,
        }
    }
}

impl<B: OpenBlocks> ComputedBlockField for Attr<B> {}

impl<M: Model> OpenBlocks for M {
    fn nested(name: &str) -> NestedBlock {
        Option::<M>::nested_block(name)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        M::from_value(value)
    }

    fn encode(self) -> Value {
        self.into_value()
    }

    fn absent() -> Value {
        Value::Null
    }
}

macro_rules! open_collections {
    ($($of:ty => $absent:expr),*) => {$(
        impl<M: Model> OpenBlocks for $of {
            fn nested(name: &str) -> NestedBlock {
                Self::nested_block(name)
            }

            fn decode(value: Value) -> Result<Self, Undecodable> {
                Self::decode_block(value)
            }

            fn encode(self) -> Value {
                self.encode_block()
            }

            fn absent() -> Value {
                $absent
            }
        }
    )*};
}

open_collections!(
    Vec<M> => Value::List(Vec::new()),
    Set<M> => Value::Set(Vec::new()),
    BTreeMap<String, M> => Value::Map(BTreeMap::new())
);
