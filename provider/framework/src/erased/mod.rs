//! Resources, data sources and functions without their types, so that a server can hold many of
//! them. This is where author code is called, and nowhere else.

mod data_source;
mod function;
mod resource;

use std::sync::OnceLock;

pub(crate) use data_source::{AnyDataSource, TypedDataSource};
pub(crate) use function::{AnyFunction, TypedFunction};
pub(crate) use resource::{
    AnyResource, ApplyRequest, Identified, ImportBy, PlanRequest, TypedResource,
};

use crate::schema::Schema;
use crate::value::{Type, Value};
use crate::{Diagnostics, Model};

/// A schema with the type of its values, made when first needed.
#[derive(Debug, Default)]
pub(crate) struct LazySchema(OnceLock<Known>);

/// A schema with the type of its values.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) schema: Schema,
    pub(crate) of: Type,
}

impl LazySchema {
    pub(crate) fn of_model<M: Model>(&self, version: i64) -> &Known {
        self.0.get_or_init(|| {
            let schema = Schema {
                version,
                block: M::block(),
            };
            let of = schema.value_type();
            Known { schema, of }
        })
    }
}

/// The model of a value.
pub(crate) fn model<M: Model>(value: Value) -> Result<M, Diagnostics> {
    M::from_value(value).map_err(|error| error.into_diagnostic().into())
}

/// Every unknown value becomes null.
pub(crate) fn without_unknown(value: Value) -> Value {
    match value {
        Value::Unknown => Value::Null,
        Value::List(elements) => Value::List(elements.into_iter().map(without_unknown).collect()),
        Value::Tuple(elements) => Value::Tuple(elements.into_iter().map(without_unknown).collect()),
        Value::Set(elements) => Value::set(elements.into_iter().map(without_unknown)),
        Value::Map(elements) => Value::Map(
            elements
                .into_iter()
                .map(|(key, of)| (key, without_unknown(of)))
                .collect(),
        ),
        Value::Object(attributes) => Value::Object(
            attributes
                .into_iter()
                .map(|(name, of)| (name, without_unknown(of)))
                .collect(),
        ),
        Value::Dynamic(of, value) => Value::Dynamic(of, Box::new(without_unknown(*value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
