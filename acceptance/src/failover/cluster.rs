//! What a system that looks after a PostgreSQL has to answer so that the bench can hurt it.
//!
//! An implementation raises the system on the hosts of a laboratory as its own documentation says,
//! and keeps the processes. It never mends anything by itself: what a boot of the host would not
//! start, nobody starts.

use std::net::IpAddr;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::server::Server;

/// How the system is set up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// As it comes.
    Default,
    /// As fast as its settings allow without being called unsafe by its documentation.
    Tuned,
}

/// Whether a commit waits for a standby.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// As the system has it unless told otherwise.
    Default,
    /// It does.
    Sync,
    /// It doesn't.
    Async,
}

/// How clients find the primary where nothing leads them to it.
pub(super) const TRY_ALL: &str = "the client tries all hosts in turn for the one that takes writes, \
     each for 0.5 s at most, as a libpq does with many hosts and target_session_attrs=read-write";

/// Where clients go.
#[derive(Clone, Debug)]
pub struct Front {
    /// `address:port`, tried in turn; one only where the system moves an address.
    pub endpoints: Vec<String>,
    /// The host on which clients run; none: outside of all hosts.
    pub from: Option<u8>,
    /// How the system's users do it, for the table.
    pub explanation: &'static str,
}

/// Something that befell a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Befell {
    /// How long after the fault.
    pub after_ms: f64,
    /// What, and why, as its emulator says it.
    pub what: String,
}

/// A system under test, raised on the hosts of a laboratory. Hosts are named by their numbers.
pub trait Cluster {
    /// Its name, with the versions of what it is made of.
    fn title(&self) -> &str;

    /// The hosts that hold a copy of the data.
    fn copies(&self) -> &[u8];

    /// The names of its processes beside the server, as `/proc/PID/comm` has them (15 bytes at most).
    fn agent_names(&self) -> &[&str];

    /// Where clients go.
    fn front(&self) -> Front;

    /// The address that follows the primary in a mesh of the hosts; none: there is no such thing.
    fn service(&self) -> Option<IpAddr> {
        None
    }

    /// The PostgreSQL on a host that holds a copy. Its socket must lie on the host's disk.
    fn server(&self, host: u8) -> Server;

    /// Which host is primary, as the system itself says.
    ///
    /// # Errors
    ///
    /// When it can't be asked or says none.
    fn primary(&self) -> Result<u8>;

    /// Whether there is one primary and every other copy follows it.
    ///
    /// # Errors
    ///
    /// When it can't be asked.
    fn is_whole(&self) -> Result<bool>;

    /// On which host it is decided who is primary.
    ///
    /// # Errors
    ///
    /// When it can't be asked or nobody decides.
    fn decider(&self) -> Result<u8>;

    /// Has it decided on this host from now on; false where that can't be chosen.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    fn move_decider(&mut self, host: u8) -> Result<bool>;

    /// Moves the primary as planned, and returns when the command does.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    fn switchover(&mut self) -> Result<()>;

    /// Starts on a host that has just got power what its init would start.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    fn boot(&mut self, host: u8) -> Result<()>;

    /// Starts the system's own processes on a host where they were killed, and nothing else.
    ///
    /// # Errors
    ///
    /// When they can't be started.
    fn start_agent(&mut self, host: u8) -> Result<()>;

    /// Kills the agent of a host with `kill -9`, and nothing else.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no guard beside it.
    fn kill_agent(&mut self, host: u8) -> Result<()> {
        bail!(
            "{} has no agent apart from its guard on h{host}",
            self.title()
        )
    }

    /// Has the agent of a host stand still (SIGSTOP), and nothing else.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no guard beside it.
    fn freeze_agent(&mut self, host: u8) -> Result<()> {
        bail!(
            "{} has no agent apart from its guard on h{host}",
            self.title()
        )
    }

    /// Sends a signal to what guards the server of a host, and to nothing else.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn signal_guard(&self, host: u8, _signal: &str) -> Result<()> {
        bail!("{} has no guard on h{host}", self.title())
    }

    /// Has the machine of a host stand still, clocks and all, as a hypervisor does it.
    ///
    /// # Errors
    ///
    /// When it is no guest.
    fn pause(&mut self, host: u8) -> Result<()> {
        bail!("h{host} is no guest under {}", self.title())
    }

    /// Lets it go on where it stood. One that was powered off meanwhile boots.
    ///
    /// # Errors
    ///
    /// When it can't.
    fn resume(&mut self, host: u8) -> Result<()> {
        bail!("h{host} is no guest under {}", self.title())
    }

    /// Has everything stand still that could end the server of a host, so that nothing but the host's
    /// watchdog does, and returns once that has reset it. The host stays off.
    ///
    /// # Errors
    ///
    /// When it has none, or something else ended the host, or nothing did.
    fn starve_watchdog(&mut self, host: u8) -> Result<()> {
        bail!("h{host} has no watchdog under {}", self.title())
    }

    /// What befell the machine of a primary that is in one of its own, since a moment.
    fn befell(&self, _since_ns: u64) -> Vec<Befell> {
        Vec::new()
    }

    /// Whether a failover is under way.
    ///
    /// # Errors
    ///
    /// When the system never says so.
    fn is_moving(&self) -> Result<bool> {
        bail!(
            "{} does not tell of a failover before it is over",
            self.title()
        )
    }

    /// Kills what decides on a host with `kill -9`, and starts it again.
    ///
    /// # Errors
    ///
    /// When that is not one process of its own.
    fn restart_decider(&mut self, host: u8) -> Result<()> {
        bail!(
            "{} can't be told to restart what decides on h{host}",
            self.title()
        )
    }

    /// Stops and starts everything that decides, one after another.
    ///
    /// # Errors
    ///
    /// When one doesn't come back.
    fn restart_deciders(&mut self) -> Result<()> {
        bail!("{} can't be told to restart what decides", self.title())
    }

    /// What a person who looks now is told: the status command, and the last words of the logs.
    fn told(&self) -> String;
}
