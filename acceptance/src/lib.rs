//! Why this crate exists: the programs of Hanse are proved from outside, by running the real
//! binaries, the real Terraform and real WireGuard on hosts that behave like hosts.
//!
//! * [`laboratory`] raises N hosts as network namespaces, without root, and can cut their links,
//!   freeze them and take their power away.
//! * [`Agent`] and [`Operator`] run the binary `hanse`; [`Terraform`] runs the real Terraform with
//!   our provider.
//! * [`guest`] boots a machine whose kernel has WireGuard, when this one's may not, or one that can be
//!   paused.
//! * [`Machine`] boots systemd as the first process of a machine in namespaces, with root.
//! * [`failover`] measures what a writing client sees when the primary of a PostgreSQL dies.
//! * [`wait_until`] is the one place that polls.
//!
//! What it never does: import a crate that it tests. What only works from inside the code is not
//! proved here.

pub mod agent;
pub mod binaries;
pub mod chaos;
pub mod checkout;
pub mod configuration;
pub mod demonstration;
pub mod failover;
pub mod faketime;
pub mod federation;
pub mod guest;
pub mod laboratory;
pub mod machine;
pub mod operator;
pub mod pinger;
pub mod secrets;
pub mod terraform;
pub mod wait;
pub mod wireguard;

pub use agent::Agent;
pub use configuration::Configuration;
pub use faketime::FakeClock;
pub use federation::Federation;
pub use laboratory::{Host, Laboratory, Output, Process};
pub use machine::Machine;
pub use operator::Operator;
pub use pinger::Pinger;
pub use terraform::{Plan, Terraform, Tool};
pub use wait::wait_until;
