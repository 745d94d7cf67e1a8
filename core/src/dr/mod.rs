//! Disaster recovery: who is primary, who takes over, and when that is safe.
//!
//! [`machine::next`] decides, from what is committed ([`record`]) and what the leader sees
//! ([`sight`]); [`duty`] says what each copy has to be; [`guard`] what the process beside the primary
//! does at a moment; [`choose`] which standby is promoted; [`timings`] how long all of it takes;
//! [`ask`] what an operator may ask for; [`drill`] proves a plan before it is needed. Nothing here reads a clock, and no failover is faster than
//! the proof that the old primary can't write.

mod answers;
pub mod ask;
pub mod backup;
pub mod change;
pub mod choose;
pub mod copies;
pub mod drill;
pub mod duty;
pub mod guard;
pub mod lookout;
pub mod machine;
mod notes;
pub mod position;
pub mod quorum;
pub mod record;
pub mod schedule;
pub mod sight;
pub mod timings;

#[cfg(test)]
mod sentences;
#[cfg(test)]
mod simulation;
