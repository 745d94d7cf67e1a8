//! Workloads: each copy of a plan is kept as its duty says, on the node that has it.
//!
//! It decides neither who leads nor when that is safe, and starts no server itself: the guard does,
//! under its lease.

mod seams;

pub use seams::{Guard, GuardError};
