//! What is copied now and then, and has no server of Hanse's: a folder, or what users' own programs
//! keep.
//!
//! One keeper for all of them. What writes runs under the guard, where the plan names a program; where
//! it names none, a program that does nothing holds the lease in its place, and nothing on this node
//! fences: the plan is refused an automatic failover without a fence from outside.

mod beacon;
mod decide;
mod execute;
mod keeper;
mod look;
mod memory;
mod works;

pub use beacon::BeaconWatch;
pub(crate) use keeper::Keeper;
pub(crate) use memory::{Memory, Of};
pub(crate) use works::{Received, Situation, Works, Writer, user};
