//! One state on all voters.
//!
//! `hanse-core` decides what a request means; this crate sees to it that all voters agree on the
//! order of what was decided, that nothing acknowledged is ever lost, and that a voter that lost
//! its place can't answer as if it had not. It knows no network: whoever uses it brings one. All
//! of it runs on tokio and, unchanged, on the virtual time of the simulation.

mod contact;
mod decide;
pub mod disk;
pub mod form;
pub mod journal;
pub mod lease;
pub mod log;
pub mod machine;
pub mod membership;
pub mod message;
mod proposer;
pub mod record;
pub mod replica;
pub mod timing;
pub mod types;
pub mod wire;
