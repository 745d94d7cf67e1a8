//! The guard: a process of its own beside each copy of a plan's workload. It keeps the workload's
//! processes, renews the lease of the one that writes, and ends it in time.
//!
//! What it does not guard, the kernel ends, without any process being scheduled: [`run_keeper`] says
//! how. It knows no workload: what the server is asked to tell comes in by [`Watch`], and the
//! federation by [`Federation`]. It decides nothing of a lease that `hanse_core::dr::guard` doesn't.

mod carrier;
mod client;
mod clock;
mod copy;
mod error;
mod execute;
mod file;
mod held;
mod keeper;
mod keeping;
mod let_go;
mod lines;
mod machine;
mod message;
mod order;
mod report;
mod restart;
mod seams;
mod service;
mod socket;
mod stage;
mod step;
mod store;
mod vigil;
mod watchdog;
mod wire;

pub use client::Client;
pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use keeper::run_keeper;
pub use let_go::LetGo;
pub use order::{LeaseTerms, Order, Process, Program, ServiceAddress, Status, StopSignal};
pub use seams::{
    Addresses, Federation, Observation, Renewal, RenewalError, Unanswered, Watch, Watchdog,
};
pub use service::{Config, Ended, Seams, Service};
pub use stage::run_stage;
pub use store::ordered_program;
