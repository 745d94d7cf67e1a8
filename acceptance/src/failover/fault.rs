//! What happens to the host of the primary, or to what decides.
//!
//! A fault knows no system: it reaches processes by their names, hosts by their power and links. The
//! operator's place, where the clients are, is another site: what cuts a host off cuts it off from
//! them too, except [`Fault::CutFromHosts`].

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::cluster::Cluster;
use super::server::{Busy, NAME as SERVER, signal, signal_server};
use crate::laboratory::Laboratory;
use crate::wait::wait_until_true;

/// How long what is frozen, full or killed apart stays so.
const FROST: Duration = Duration::from_secs(30);
/// How long a cut stays at least: longer than any system here takes to decide.
const CUT: Duration = Duration::from_secs(60);
/// How long a machine is paused at least: longer than any lease.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a system may take until it acts.
const ACTS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long whatever ends by itself is watched at least.
const WATCH: Duration = Duration::from_secs(10);

/// One fault. Its name on the command line is the variant's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// `kill -9` of the postmaster.
    KillServer,
    /// `kill -9` of the postmaster while a backend computes, which then holds the shared memory.
    KillServerBusy,
    /// `kill -9` of the system's own processes beside the primary; started again when it is over.
    KillAgent,
    /// `kill -9` of the agent, and of nothing else.
    KillAgentAlone,
    /// `kill -9` of the process that guards the server, and of nothing else.
    KillGuard,
    /// `kill -9` of the server and of all of the system's own processes at once.
    KillAll,
    /// The primary's disk has no room left, until somebody makes some.
    FillDisk,
    /// The server's processes stand still (SIGSTOP).
    FreezeServer,
    /// The system's own processes stand still.
    FreezeAgent,
    /// The process that guards the server stands still.
    FreezeGuard,
    /// Every process of the primary's host stands still.
    FreezeHost,
    /// The primary's host loses its power; what decides is elsewhere.
    PowerOff,
    /// The primary's host loses its power, and what decides stood there too.
    PowerOffWithDecider,
    /// The primary's host loses its power, and what decides is killed once it began to act.
    KillDeciderDuringFailover,
    /// Nothing leaves the primary's host or arrives there.
    Cut,
    /// The same, and what decides stands there too.
    CutWithDecider,
    /// The primary's host and the first standby's are parted; all others reach both.
    CutFromStandby,
    /// Nothing leaves the primary's host.
    CutOut,
    /// Nothing arrives at the primary's host.
    CutIn,
    /// The primary's host and all others are parted; clients reach all.
    CutFromHosts,
    /// Nothing leaves the host where it is decided or arrives there; the primary is elsewhere.
    CutDecider,
    /// Everything that decides is stopped and started again, one after another.
    RestartDeciders,
    /// The primary's machine, a guest, stands still for longer than its lease, clocks and all, and goes on.
    PauseGuest,
    /// Whatever could end the server stands still, so that its machine's watchdog alone can.
    StarveWatchdog,
    /// Nothing is wrong: the primary is moved as planned.
    Switchover,
}

/// When a fault is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// After so long, whatever happens.
    For(Duration),
    /// Once writes are acknowledged again, and not before so long.
    UntilServed(Duration),
}

/// A fault that is about to happen or has happened, to whom.
#[derive(Debug)]
pub struct Blow {
    fault: Fault,
    primary: u8,
    decider: u8,
    busy: Option<Busy>,
}

impl Fault {
    /// When it is over.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::KillServerBusy
            | Self::KillAgent
            | Self::KillAgentAlone
            | Self::KillGuard
            | Self::KillAll
            | Self::FillDisk
            | Self::FreezeServer
            | Self::FreezeAgent
            | Self::FreezeGuard
            | Self::FreezeHost => Hold::For(FROST),
            Self::PauseGuest => Hold::UntilServed(PAUSE),
            // The starved one writes until it is reset.
            Self::StarveWatchdog => Hold::UntilServed(FROST),
            Self::Cut
            | Self::CutWithDecider
            | Self::CutFromStandby
            | Self::CutOut
            | Self::CutIn
            | Self::CutFromHosts
            | Self::CutDecider => Hold::UntilServed(CUT),
            Self::KillServer
            | Self::PowerOff
            | Self::PowerOffWithDecider
            | Self::KillDeciderDuringFailover
            | Self::RestartDeciders
            | Self::Switchover => Hold::UntilServed(WATCH),
        }
    }

    /// Whether what decides stands on the primary's host.
    #[must_use]
    pub fn is_of_both(self) -> bool {
        matches!(self, Self::PowerOffWithDecider | Self::CutWithDecider)
    }

    /// Whether it takes processes that only Hanse has, or tells of.
    #[must_use]
    pub fn is_ours_alone(self) -> bool {
        matches!(
            self,
            Self::KillAgentAlone
                | Self::KillGuard
                | Self::FreezeGuard
                | Self::KillDeciderDuringFailover
                | Self::RestartDeciders
                | Self::PauseGuest
                | Self::StarveWatchdog
        )
    }

    /// How large the disks of the hosts may be for it, in MB; none: it doesn't matter.
    #[must_use]
    pub fn disk_mb(self) -> Option<u32> {
        (self == Self::FillDisk).then_some(1024)
    }

    /// Whether the primary has to be in a machine of its own for it.
    #[must_use]
    pub fn is_of_guests(self) -> bool {
        matches!(self, Self::PauseGuest | Self::StarveWatchdog)
    }

    /// Its name, as on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Puts what decides where the fault wants it, and prepares what it needs.
    ///
    /// # Errors
    ///
    /// When the system can't have it so.
    pub fn prepare(self, laboratory: &Laboratory, cluster: &mut dyn Cluster) -> Result<Blow> {
        let primary = cluster.primary()?;
        let decider = if self.is_of_both() {
            let moved = cluster.move_decider(primary)?;
            ensure!(moved, "here what decides never stands beside the primary");
            primary
        } else {
            if cluster.decider()? == primary {
                cluster.move_decider(standby(cluster, primary)?)?;
            }
            cluster.decider()?
        };
        let mut blow = Blow {
            fault: self,
            primary,
            decider,
            busy: None,
        };
        if self == Self::KillServerBusy {
            let host = laboratory.host(primary);
            blow.busy = Some(Busy::start(laboratory, host, &cluster.server(primary))?);
        }
        Ok(blow)
    }
}

impl Blow {
    /// Which host was primary.
    #[must_use]
    pub fn primary(&self) -> u8 {
        self.primary
    }

    /// On which host it was decided.
    #[must_use]
    pub fn decider(&self) -> u8 {
        self.decider
    }

    /// Makes it happen.
    ///
    /// # Errors
    ///
    /// When it can't be done.
    pub fn begin(&self, laboratory: &Laboratory, cluster: &mut dyn Cluster) -> Result<()> {
        let host = laboratory.host(self.primary);
        match self.fault {
            Fault::KillServer | Fault::KillServerBusy => cluster.server(self.primary).kill(host),
            Fault::KillAgent => signal(host, cluster.agent_names(), "KILL"),
            Fault::KillAgentAlone => cluster.kill_agent(self.primary),
            Fault::KillGuard => cluster.signal_guard(self.primary, "KILL"),
            Fault::KillAll => {
                let mut names = cluster.agent_names().to_vec();
                names.push(SERVER);
                signal(host, &names, "KILL")
            }
            Fault::FillDisk => host.fill_disk(),
            Fault::FreezeServer => signal_server(host, "STOP"),
            Fault::FreezeAgent => signal(host, cluster.agent_names(), "STOP"),
            Fault::FreezeGuard => cluster.signal_guard(self.primary, "STOP"),
            Fault::FreezeHost => host.freeze(),
            Fault::KillDeciderDuringFailover => {
                host.power_off()?;
                wait_until_true("the failover begins", ACTS_TIMEOUT, || cluster.is_moving())?;
                cluster.restart_decider(self.decider)
            }
            Fault::RestartDeciders => cluster.restart_deciders(),
            Fault::PowerOff | Fault::PowerOffWithDecider => host.power_off(),
            Fault::Cut | Fault::CutWithDecider => host.cut_link(),
            Fault::CutFromStandby => {
                let standby = standby(cluster, self.primary)?;
                laboratory.cut_between(host, laboratory.host(standby))
            }
            Fault::CutOut => host.cut_outgoing(),
            Fault::CutIn => host.cut_incoming(),
            Fault::CutFromHosts => {
                let hosts = laboratory.hosts().iter();
                for other in hosts.filter(|other| other.number() != self.primary) {
                    laboratory.cut_between(host, other)?;
                }
                Ok(())
            }
            Fault::CutDecider => laboratory.host(self.decider).cut_link(),
            Fault::PauseGuest => cluster.pause(self.primary),
            Fault::StarveWatchdog => cluster.starve_watchdog(self.primary),
            Fault::Switchover => cluster.switchover(),
        }
    }

    /// Mends it; what nobody has to mend is left alone.
    ///
    /// # Errors
    ///
    /// When it can't be done.
    pub fn mend(self, laboratory: &Laboratory, cluster: &mut dyn Cluster) -> Result<()> {
        let host = laboratory.host(self.primary);
        match self.fault {
            Fault::KillServer | Fault::KillGuard | Fault::RestartDeciders | Fault::Switchover => {
                Ok(())
            }
            Fault::FillDisk => host.empty_disk(),
            Fault::KillServerBusy => self.busy.map_or(Ok(()), |busy| busy.end(host)),
            Fault::KillAgent | Fault::KillAgentAlone | Fault::KillAll => {
                cluster.start_agent(self.primary)
            }
            // Whoever was killed while it stood still is not there to be told.
            Fault::FreezeServer | Fault::FreezeAgent | Fault::FreezeGuard | Fault::FreezeHost => {
                host.thaw()
            }
            Fault::PauseGuest => cluster.resume(self.primary),
            Fault::StarveWatchdog => cluster.boot(self.primary),
            Fault::PowerOff | Fault::PowerOffWithDecider | Fault::KillDeciderDuringFailover => {
                host.power_on()?;
                cluster.boot(self.primary)
            }
            Fault::Cut
            | Fault::CutWithDecider
            | Fault::CutFromStandby
            | Fault::CutOut
            | Fault::CutIn
            | Fault::CutFromHosts
            | Fault::CutDecider => laboratory.heal_all(),
        }
    }
}

/// The first copy that is not the primary.
fn standby(cluster: &dyn Cluster, primary: u8) -> Result<u8> {
    let other = cluster.copies().iter().find(|copy| **copy != primary);
    other.copied().context("there is no other copy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Fault::value_variants()
            .iter()
            .map(|fault| fault.name())
            .collect();
        assert_eq!(names.len(), Fault::value_variants().len());
        assert!(names.contains("power-off-with-decider"), "{names:?}");
    }
}
