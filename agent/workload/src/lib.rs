//! Workloads: each copy of a plan is kept as its duty says, on the node that has it.
//!
//! It decides neither who leads nor when that is safe, and starts no server itself: the guard does,
//! under its lease. [`Steward`] keeps one copy: it looks, decides the next step by one pure function
//! (`decide`), takes it, and reports. Every step may be cut off at any instant and taken again.

mod announced;
mod decide;
mod execute;
mod file;
mod look;
mod memory;
mod postgresql;
mod report;
mod seams;
mod steward;
mod trouble;

pub use postgresql::{PostgresqlWatch, Setup, withdraw};
pub use report::CopyReport;
pub use seams::{Guard, GuardError};
pub use steward::Steward;
pub use trouble::Trouble;
