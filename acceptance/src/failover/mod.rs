//! The bench of failovers: what a writing client sees when the primary of a PostgreSQL dies, stands
//! still or is cut off, under whatever system looks after it.
//!
//! * [`cluster`] says what such a system has to answer; [`patroni`] and [`auto_failover`] are the
//!   peers.
//! * [`fault`] lists what happens to it, [`blow`] does it, [`trial`] lets it happen once, [`report`] is the
//!   table.
//! * [`load`] writes, [`observer`] asks each server itself, [`ways`] sees where each host is led;
//!   [`onlookers`] are all three. [`ledger`] and [`writers`] compute what came of it.
//! * [`in_guest`] puts the primary into a machine that can be paused.
//! * [`rehearsal`] measures what a drill costs the primary.
//! * [`system`] is the list of systems; a new one is one line there and one file.
//! * [`server`] knows PostgreSQL's processes and files, [`peers`] where the peers' programs lie.
//!
//! It judges nothing: no figure makes it fail; tests judge what it measures. None of them runs a peer.

pub mod auto_failover;
pub mod blow;
pub mod cluster;
mod declared;
mod etcd;
pub mod fault;
pub mod hanse;
pub mod in_guest;
pub mod ledger;
pub mod load;
pub mod observer;
pub mod onlookers;
pub mod patroni;
pub mod peers;
pub mod rehearsal;
pub mod report;
pub mod server;
pub mod system;
pub mod trial;
pub mod ways;
pub mod writers;

use rustix::time::{ClockId, clock_gettime};

pub use cluster::{Cluster, Front, Replication, Variant};
pub use declared::Terms;
pub use fault::Fault;
pub use onlookers::Onlookers;
pub use rehearsal::Rehearsal;
pub use report::Row;
pub use system::System;
pub use trial::Trial;
pub use ways::Redirect;

/// Now, by the clock that every process of the machine shares.
#[must_use]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, rest) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + rest
}
