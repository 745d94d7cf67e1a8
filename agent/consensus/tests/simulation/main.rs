//! Voters on virtual time, with everything that goes wrong: links cut both ways and one way, delay,
//! reordering, duplicates and loss; crashes that lose what was not yet safe, in the middle of a
//! write; restarts; voters added and removed. The same seed gives the same run.
//!
//! One file for each property. All of them look at the same runs: see [`seeds`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod a_lease_is_never_granted_twice;
mod history;
mod holder;
mod linearizable;
mod medium;
mod nemesis;
mod no_acknowledged_write_lost;
mod one_leader_commits;
mod revisions_only_grow;
mod seeds;
mod wire;
mod workload;
mod world;
