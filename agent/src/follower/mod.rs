//! The part of the agent that every node runs: follow the own plan, hand it to the data plane,
//! report what comes of it, and renew the certificate in time.
//!
//! It never depends on a live federation: the last plan is on the disk and in effect before the
//! first connection is tried.

pub mod backlog;
pub mod capacity;
pub mod follow;
pub mod hands;
pub mod held;
mod line;
mod lines;
mod pace;
pub mod plan_file;
pub mod renewal;
pub mod report;
mod reporter;
mod usage;
pub mod voters;

pub use follow::{Follower, Known};
pub use hands::Hands;
pub use lines::Lines;
pub use voters::Voters;
