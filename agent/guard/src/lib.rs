//! The guard: a process of its own beside each copy of a plan's workload. It keeps the workload's
//! processes, renews the lease of the one that writes, and ends it in time.
//!
//! It knows no workload: what the server is asked to tell comes in by [`Watch`], and the federation by
//! [`Federation`]. It decides nothing that `hanse_core::dr::guard` doesn't.

mod order;
mod seams;

pub use order::{LeaseTerms, Order, Process, Program, ServiceAddress, Status, StopSignal};
pub use seams::{Addresses, Federation, Observation, Renewal, RenewalError, Watch};
