#![doc = include_str!("../README.md")]
// Generated code and the framework name the crate the same way as an author does.
extern crate self as terraform_plugin;

mod action;
mod attr;
mod block_field;
mod context;
mod data_source;
mod diagnostics;
mod docs;
mod ephemeral;
mod erased;
mod field;
mod function;
mod identity;
mod list_resource;
mod model;
mod move_source;
mod path;
mod plan;
mod private;
#[doc(hidden)]
pub mod proto;
mod provider;
mod resource;
pub mod schema;
mod serve;
mod server;
mod state_store;
mod timeouts;
pub mod value;

pub use action::Action;
pub use async_trait::async_trait;
pub use attr::{Attr, Set};
pub use block_field::{BlockField, ComputedBlockField, OpenBlocks};
pub use context::{Cx, DeferReason, PlanAction, PlanCx};
pub use data_source::DataSource;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use ephemeral::EphemeralResource;
pub use field::{AttributeField, CollectionField, Field, Undecodable};
pub use function::{Allows, Argument, Arguments, Function, FunctionError, Signature};
pub use identity::IdentityField;
pub use list_resource::{Found, ListQuery, ListResource};
pub use model::{Empty, Model, ObjectReader, ObjectWriter};
pub use move_source::MoveSource;
pub use path::{Path, Step};
pub use provider::{Provider, Registry};
pub use resource::{Failure, Resource};
pub use serve::run;
pub use server::Service;
pub use state_store::StateStore;
pub use terraform_plugin_derive::Model;
pub use timeouts::Timeouts;
pub use tokio_util::sync::CancellationToken;
pub use value::{Number, Refinement, Value};
