//! The life of an object beyond create, read, update and delete, as Terraform asks for it: who it
//! is, how it comes in, where it goes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod adopt;
mod bench;
mod identity;
mod import;
mod list;
mod provider;
mod shapes;
mod volume;
mod volumes;
