//! What happens to the host of the primary, to its links, or to what decides; [`blow`](super::blow) does it.
//!
//! The operator's place, where the peers' clients are, is another site: what cuts a host off cuts it off
//! from them too, except [`Fault::CutFromHosts`] and the cuts of one link.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// How long what is frozen, full or killed apart stays so.
const FROST: Duration = Duration::from_secs(30);
/// How long one link is cut in one direction: longer than Hanse's leases here, and nobody has to act on it.
const CUT_ONE_WAY: Duration = Duration::from_secs(30);
/// How long a cut stays at least: longer than any system here takes to decide.
const CUT: Duration = Duration::from_secs(60);
/// How long a machine is paused at least: longer than any lease.
const PAUSE: Duration = Duration::from_secs(60);
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
    KillSystem,
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
    /// The system's own processes beside the primary stand still.
    FreezeSystem,
    /// The agent stands still, and nothing else.
    FreezeAgentAlone,
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
    /// Nothing that the primary's host sends to the first standby's arrives.
    CutPrimaryToFirst,
    /// Nothing that the first standby's host sends to the primary's arrives.
    CutFirstToPrimary,
    /// Nothing that the primary's host sends to the second standby's arrives.
    CutPrimaryToSecond,
    /// Nothing that the second standby's host sends to the primary's arrives.
    CutSecondToPrimary,
    /// Nothing that the primary's host sends to the witness arrives, which has no copy.
    CutPrimaryToWitness,
    /// Nothing that the witness sends to the primary's host arrives.
    CutWitnessToPrimary,
    /// Nothing that the first standby's host sends to the second's arrives.
    CutFirstToSecond,
    /// Nothing that the second standby's host sends to the first's arrives.
    CutSecondToFirst,
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

impl Fault {
    /// When it is over.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::KillServerBusy
            | Self::KillSystem
            | Self::KillAgentAlone
            | Self::KillGuard
            | Self::KillAll
            | Self::FillDisk
            | Self::FreezeServer
            | Self::FreezeSystem
            | Self::FreezeAgentAlone
            | Self::FreezeGuard
            | Self::FreezeHost => Hold::For(FROST),
            // Clients may be at one of its ends, and are served once it is mended.
            Self::CutPrimaryToFirst
            | Self::CutFirstToPrimary
            | Self::CutPrimaryToSecond
            | Self::CutSecondToPrimary
            | Self::CutPrimaryToWitness
            | Self::CutWitnessToPrimary
            | Self::CutFirstToSecond
            | Self::CutSecondToFirst => Hold::For(CUT_ONE_WAY),
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
                | Self::FreezeAgentAlone
                | Self::FreezeGuard
                | Self::KillDeciderDuringFailover
                | Self::RestartDeciders
                | Self::PauseGuest
                | Self::StarveWatchdog
        )
    }

    /// Whether it takes a host that has no copy.
    #[must_use]
    pub fn is_of_witness(self) -> bool {
        matches!(self, Self::CutPrimaryToWitness | Self::CutWitnessToPrimary)
    }

    /// Whether the agent beside the primary goes on, and hears what is committed.
    #[must_use]
    pub fn spares_agent(self) -> bool {
        match self {
            Self::KillServer
            | Self::KillServerBusy
            | Self::KillGuard
            | Self::FillDisk
            | Self::FreezeServer
            | Self::FreezeGuard
            | Self::CutFromStandby
            | Self::CutPrimaryToFirst
            | Self::CutFirstToPrimary
            | Self::CutPrimaryToSecond
            | Self::CutSecondToPrimary
            | Self::CutPrimaryToWitness
            | Self::CutWitnessToPrimary
            | Self::CutFirstToSecond
            | Self::CutSecondToFirst
            | Self::CutDecider
            | Self::RestartDeciders
            | Self::Switchover => true,
            Self::KillSystem
            | Self::KillAgentAlone
            | Self::KillAll
            | Self::FreezeSystem
            | Self::FreezeAgentAlone
            | Self::FreezeHost
            | Self::PowerOff
            | Self::PowerOffWithDecider
            | Self::KillDeciderDuringFailover
            | Self::Cut
            | Self::CutWithDecider
            | Self::CutOut
            | Self::CutIn
            | Self::CutFromHosts
            | Self::PauseGuest
            | Self::StarveWatchdog => false,
        }
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
