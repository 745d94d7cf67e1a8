//! How a fault is prepared, begun and mended. It knows no system: it reaches processes by their names, and
//! hosts by their power and links.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cluster::Cluster;
use super::fault::Fault;
use super::server::{Busy, NAME as SERVER, signal, signal_server};
use crate::laboratory::Laboratory;
use crate::wait::wait_until_true;

/// How long a system may take until it acts.
const ACTS_TIMEOUT: Duration = Duration::from_secs(60);

/// A fault that is about to happen or has happened, to whom.
#[derive(Debug)]
pub struct Blow {
    fault: Fault,
    primary: u8,
    decider: u8,
    busy: Option<Busy>,
}

/// A host, by what it is for.
#[derive(Clone, Copy, Debug)]
enum Place {
    Primary,
    FirstStandby,
    SecondStandby,
    /// It has no copy.
    Witness,
}

impl Fault {
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
                cluster.move_decider(standby(cluster, primary, 0)?)?;
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
        use Place::{FirstStandby, Primary, SecondStandby, Witness};
        let host = laboratory.host(self.primary);
        let cut = |cluster: &dyn Cluster, from, to| self.cut(laboratory, cluster, from, to);
        match self.fault {
            Fault::KillServer | Fault::KillServerBusy => cluster.server(self.primary).kill(host),
            Fault::KillSystem => signal(host, cluster.agent_names(), "KILL"),
            Fault::KillAgentAlone => cluster.kill_agent(self.primary),
            Fault::KillGuard => cluster.signal_guard(self.primary, "KILL"),
            Fault::KillAll => {
                let mut names = cluster.agent_names().to_vec();
                names.push(SERVER);
                signal(host, &names, "KILL")
            }
            Fault::FillDisk => host.fill_disk(),
            Fault::FreezeServer => signal_server(host, "STOP"),
            Fault::FreezeSystem => signal(host, cluster.agent_names(), "STOP"),
            Fault::FreezeAgentAlone => cluster.freeze_agent(self.primary),
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
                let standby = standby(cluster, self.primary, 0)?;
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
            Fault::CutPrimaryToFirst => cut(cluster, Primary, FirstStandby),
            Fault::CutFirstToPrimary => cut(cluster, FirstStandby, Primary),
            Fault::CutPrimaryToSecond => cut(cluster, Primary, SecondStandby),
            Fault::CutSecondToPrimary => cut(cluster, SecondStandby, Primary),
            Fault::CutPrimaryToWitness => cut(cluster, Primary, Witness),
            Fault::CutWitnessToPrimary => cut(cluster, Witness, Primary),
            Fault::CutFirstToSecond => cut(cluster, FirstStandby, SecondStandby),
            Fault::CutSecondToFirst => cut(cluster, SecondStandby, FirstStandby),
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
            Fault::KillSystem | Fault::KillAgentAlone | Fault::KillAll => {
                cluster.start_agent(self.primary)
            }
            // Whoever was killed while it stood still is not there to be told.
            Fault::FreezeServer
            | Fault::FreezeSystem
            | Fault::FreezeAgentAlone
            | Fault::FreezeGuard
            | Fault::FreezeHost => host.thaw(),
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
            | Fault::CutPrimaryToFirst
            | Fault::CutFirstToPrimary
            | Fault::CutPrimaryToSecond
            | Fault::CutSecondToPrimary
            | Fault::CutPrimaryToWitness
            | Fault::CutWitnessToPrimary
            | Fault::CutFirstToSecond
            | Fault::CutSecondToFirst
            | Fault::CutDecider => laboratory.heal_all(),
        }
    }

    /// Nothing that the one sends to the other arrives from now on.
    fn cut(
        &self,
        laboratory: &Laboratory,
        cluster: &dyn Cluster,
        from: Place,
        to: Place,
    ) -> Result<()> {
        let number = |place| match place {
            Place::Primary => Ok(self.primary),
            Place::FirstStandby => standby(cluster, self.primary, 0),
            Place::SecondStandby => standby(cluster, self.primary, 1),
            Place::Witness => witness(laboratory, cluster),
        };
        let (from, to) = (number(from)?, number(to)?);
        laboratory.cut_one_way(laboratory.host(from), laboratory.host(to))
    }
}

/// A copy that is not the primary: the first one is 0.
fn standby(cluster: &dyn Cluster, primary: u8, place: usize) -> Result<u8> {
    let mut others = cluster.copies().iter().filter(|copy| **copy != primary);
    others.nth(place).copied().context("there is no such copy")
}

/// The host that has no copy.
fn witness(laboratory: &Laboratory, cluster: &dyn Cluster) -> Result<u8> {
    let mut hosts = laboratory.hosts().iter().map(crate::Host::number);
    let witness = hosts.find(|host| !cluster.copies().contains(host));
    witness.context("every host has a copy")
}
