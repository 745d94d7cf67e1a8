//! Workloads: each copy of a plan is kept as its duty says, on the node that has it.
//!
//! It decides neither who leads nor when that is safe, and starts no server itself: the guard does,
//! under its lease. [`Steward`] turns; whoever knows the kind of workload (`keeper`) looks, decides the
//! next step by one pure function (`decide`), takes it, and reports. `postgresql` knows a server that
//! replicates by itself, `plain` what is copied now and then: a folder, or what users' own programs
//! keep. Every step may be cut off at any instant and taken again.

mod away;
mod cage;
mod call;
mod command;
mod directory;
mod drill;
mod environment;
mod file;
mod folder;
mod forget;
mod keeper;
mod log;
mod memory;
mod plain;
mod postgresql;
mod process;
mod report;
mod said;
mod seams;
mod setup;
mod space;
mod steward;
mod terms;
mod trouble;
mod user;
mod watch;

pub use cage::{run_cage, run_first};
pub use drill::{DrillNews, Driller};
pub use forget::forget;
pub use plain::BeaconWatch;
pub use postgresql::backup::{
    BackedCopy, Kind, Made, Restored, Restoring, Stock, backups, restore,
};
pub use postgresql::{PostgresqlWatch, withdraw};
pub use report::CopyReport;
pub use seams::{Guard, GuardError};
pub use setup::Setup;
pub use steward::Steward;
pub use trouble::Trouble;
pub use watch::watch_of;
