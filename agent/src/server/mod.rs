//! A voter's API: who may connect, who may call what, and what each call does.
//!
//! Decisions about objects are `hanse-core`'s; this folder authenticates, authorises, asks the
//! replica and translates. It holds no state that counts: statuses are in memory and may be lost.

mod audit;
mod authority;
pub mod authorize;
mod backup;
pub mod caller;
mod dr;
mod enroll;
mod events;
mod follow;
pub mod followers;
mod forward;
mod guard;
mod health;
mod intake;
mod issue;
mod leader;
pub mod listen;
mod node;
mod past;
pub mod plans;
mod quota;
pub mod serve;
mod service;
pub mod session;
mod snapshot;
pub mod statuses;
pub mod streams;
pub mod tls;
mod user;
mod vote;
pub mod voter;

pub use serve::{Server, ServerError};
pub use voter::Voter;
