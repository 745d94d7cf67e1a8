//! Redirects and hooks against servers: real ones where there are, and small ones of our own where a
//! real one can't be made to misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod bind;
mod hooks;
#[cfg(feature = "long")]
mod moto;
mod peers;
#[cfg(feature = "long")]
mod powerdns;
mod race;
mod route53;
mod rude;
mod web;
