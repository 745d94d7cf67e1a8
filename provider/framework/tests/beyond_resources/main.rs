//! The protocol as Terraform speaks it about all that is no resource: ephemeral resources,
//! actions, state stores, functions, and what a provider says that it has.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod actions;
mod bench;
mod catalogue;
mod ephemeral_resources;
mod functions;
mod kit;
mod state_stores;
mod stopping;
