//! Resources, data sources and functions without their types, so that a server can hold many of
//! them. This is where author code is called, and nowhere else.

mod action;
mod data_source;
mod ephemeral;
mod function;
mod list_resource;
mod resource;
mod state_store;

use std::sync::OnceLock;

pub(crate) use action::{AnyAction, TypedAction};
pub(crate) use data_source::{AnyDataSource, TypedDataSource};
pub(crate) use ephemeral::{AnyEphemeralResource, TypedEphemeralResource};
pub(crate) use function::{AnyFunction, TypedFunction};
pub(crate) use list_resource::{AnyListResource, TypedListResource};
pub(crate) use resource::{
    AnyResource, ApplyRequest, Identified, ImportBy, PlanRequest, TypedResource,
};
pub(crate) use state_store::{AnyStateStore, TypedStateStore};

use crate::plan::{self, write_back};
use crate::schema::Schema;
use crate::value::{Type, Value};
use crate::{Diagnostic, Diagnostics, Model, Path};

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
        self.0.get_or_init(|| Known::of_model::<M>(version))
    }
}

impl Known {
    pub(crate) fn of_model<M: Model>(version: i64) -> Self {
        let schema = Schema {
            version,
            block: M::block(),
        };
        let of = schema.value_type();
        Self { schema, of }
    }
}

/// The model of a value.
pub(crate) fn model<M: Model>(value: Value) -> Result<M, Diagnostics> {
    M::from_value(value).map_err(|error| error.into_diagnostic().into())
}

/// The model of a configuration, with what its validators find. `None` where it has no model.
fn checked<M: Model>(known: &Known, config: Value, found: &mut Diagnostics) -> Option<M> {
    plan::validate(&known.schema.block, &config, found);
    model(config).map_err(|error| found.extend(error)).ok()
}

/// What was obtained for a configuration, which has to be known as a whole.
fn filled(
    type_name: &str,
    config: Value,
    before: Value,
    after: Value,
) -> Result<Value, Diagnostics> {
    let value = write_back(config, before, after);
    let incomplete = |path: Path| {
        let detail = format!("{path} is still unknown after reading. Please report this.");
        Diagnostic::error(format!("Incomplete {type_name}"), detail).at(path)
    };
    let found = plan::unknown_paths(&value).into_iter().map(incomplete);
    found.collect::<Diagnostics>().into_result().map(|()| value)
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
