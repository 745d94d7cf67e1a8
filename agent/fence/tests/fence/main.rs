//! Fences against servers: real ones where there are, and small ones of our own where a real one can't be
//! made to misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod ec2;
#[cfg(feature = "long")]
mod moto;
mod proxmox;
mod pve;
#[path = "../../../redirect/tests/redirect/web.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod web;
