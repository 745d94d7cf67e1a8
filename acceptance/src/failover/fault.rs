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
use super::server::{Busy, signal, signal_server};
use crate::laboratory::Laboratory;

/// How long what is frozen or killed apart stays so.
const FROST: Duration = Duration::from_secs(30);
/// How long a cut stays at least: longer than any system here takes to decide.
const CUT: Duration = Duration::from_secs(60);
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
    /// The server's processes stand still (SIGSTOP).
    FreezeServer,
    /// The system's own processes stand still.
    FreezeAgent,
    /// Every process of the primary's host stands still.
    FreezeHost,
    /// The primary's host loses its power; what decides is elsewhere.
    PowerOff,
    /// The primary's host loses its power, and what decides stood there too.
    PowerOffWithDecider,
    /// Nothing leaves the primary's host or arrives there.
    Cut,
    /// Nothing leaves the primary's host.
    CutOut,
    /// Nothing arrives at the primary's host.
    CutIn,
    /// The primary's host and all others are parted; clients reach all.
    CutFromHosts,
    /// Nothing leaves the host where it is decided or arrives there; the primary is elsewhere.
    CutDecider,
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
            | Self::FreezeServer
            | Self::FreezeAgent
            | Self::FreezeHost => Hold::For(FROST),
            Self::Cut | Self::CutOut | Self::CutIn | Self::CutFromHosts | Self::CutDecider => {
                Hold::UntilServed(CUT)
            }
            Self::KillServer | Self::PowerOff | Self::PowerOffWithDecider | Self::Switchover => {
                Hold::UntilServed(WATCH)
            }
        }
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
        let decider = match self {
            Self::PowerOffWithDecider => {
                let moved = cluster.move_decider(primary)?;
                ensure!(moved, "here what decides never stands beside the primary");
                primary
            }
            Self::KillServer
            | Self::KillServerBusy
            | Self::KillAgent
            | Self::FreezeServer
            | Self::FreezeAgent
            | Self::FreezeHost
            | Self::PowerOff
            | Self::Cut
            | Self::CutOut
            | Self::CutIn
            | Self::CutFromHosts
            | Self::CutDecider
            | Self::Switchover => {
                if cluster.decider()? == primary {
                    let other = cluster.copies().iter().find(|copy| **copy != primary);
                    let other = *other.context("there is no other copy")?;
                    cluster.move_decider(other)?;
                }
                cluster.decider()?
            }
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
            Fault::FreezeServer => signal_server(host, "STOP"),
            Fault::FreezeAgent => signal(host, cluster.agent_names(), "STOP"),
            Fault::FreezeHost => host.freeze(),
            Fault::PowerOff | Fault::PowerOffWithDecider => host.power_off(),
            Fault::Cut => host.cut_link(),
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
            Fault::KillServer | Fault::Switchover => Ok(()),
            Fault::KillServerBusy => self.busy.map_or(Ok(()), |busy| busy.end(host)),
            Fault::KillAgent => cluster.start_agent(self.primary),
            // Whoever was killed while it stood still is not there to be told.
            Fault::FreezeServer | Fault::FreezeAgent | Fault::FreezeHost => host.thaw(),
            Fault::PowerOff | Fault::PowerOffWithDecider => {
                host.power_on()?;
                cluster.boot(self.primary)
            }
            Fault::Cut | Fault::CutOut | Fault::CutIn | Fault::CutFromHosts | Fault::CutDecider => {
                laboratory.heal_all()
            }
        }
    }
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
