//! How long each path of a failover takes at most: one sum for each thing that may go away.
//!
//! It rests on what is declared alone, and so is the same before anything is there, at admission and
//! while a plan runs. What nobody can bound is left out, and said: how long a server goes through its
//! log, and the 10 s (3 × `check_interval`, if that is more) for which one is waited that runs and
//! answers nobody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timings;
use crate::lease;
use crate::object::words;

/// How long voters are without a leader when theirs dies, at their default timing across sites: 1.5 s
/// until it counts as gone, up to 1.5 s until one of the others stands, and a second in which that one
/// is asked for, is elected and commits its first entry, each a round trip of up to 200 ms and an fsync.
pub(in crate::dr) const ELECTION: Duration = Duration::from_secs(4);
/// From a commit to the node that it concerns, and back.
const ORDER: Duration = Duration::from_millis(500);
/// A promotion or a start of PostgreSQL, as measured with nothing left to replay: the rest is bounded by
/// `promotion_timeout`.
const PROMOTION: Duration = Duration::from_millis(1500);
/// Until the last reachable node sends the service address's traffic to the new primary.
const REDIRECT: Duration = Duration::from_millis(500);

words! {
    /// What goes away.
    Failure {
        /// The server's processes, and they can't be started again where they were.
        Process = "process",
        /// The primary's host.
        Host = "host",
        /// The way to the primary's host, which goes on behind it.
        Link = "link",
        /// The primary's host, and the leader of the voters at the same time.
        HostWithLeader = "host-with-leader",
        /// The primary's site, and whichever voters are there.
        Site = "site",
        /// The leader of the voters alone.
        Voter = "voter",
    }
}

/// What a failover waits for beside a plan's timings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Others {
    /// How long a fence from outside may take, which begins once the lease ended; none: there is none.
    pub fence_outside: Option<Duration>,
    /// How long clients remember an address; none: nobody asks for one.
    pub dns_ttl: Option<Duration>,
}

/// How long each part of a failover takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Prediction {
    /// Until the primary counts as dead.
    pub detection: Duration,
    /// From there until it is certain that it can't write.
    pub fencing: Duration,
    /// From there until the standby takes writes.
    pub promotion: Duration,
    /// From there until clients are led to it.
    pub redirect: Duration,
}

impl Failure {
    /// Every path.
    pub const ALL: [Self; 6] = [
        Self::Process,
        Self::Host,
        Self::Link,
        Self::HostWithLeader,
        Self::Site,
        Self::Voter,
    ];

    /// What happens, as a sentence goes on after "when".
    #[must_use]
    pub fn event(self) -> &'static str {
        match self {
            Self::Process => "its server ends and can't be started again where it was",
            Self::Host => "the primary's host dies",
            Self::Link => "the way to the primary's host is cut",
            Self::HostWithLeader => "the primary's host dies and the voters' leader with it",
            Self::Site => "the primary's site is lost",
            Self::Voter => "the voters' leader alone dies",
        }
    }
}

impl Timings {
    /// What a failover of an automatic plan takes at most when something goes away.
    ///
    /// - The server's processes: the guard sees their end at once and gives the one restart
    ///   [`Timings::silence_max`] to take writes again. Then it gives the lease back, which is an order.
    /// - The host: nobody renews, so the primary counts as dead after [`Timings::silence_max`], and can't
    ///   write once its lease has ended for the leader, which is a bit longer than for its guard.
    /// - The way to it: as the host, since nobody can tell the two apart. It is the lease alone that
    ///   fences: the guard behind the cut stops the workload before its end.
    /// - The host and the leader: the next leader knows of no renewal. All of it begins with that one's
    ///   own first entry, an election later.
    /// - The site: as the host and the leader, which may be there. A majority is elsewhere (rule 6).
    /// - The leader alone: nobody is promoted. The primary goes on, or stops itself while the voters elect
    ///   and goes on where it is, if its lease is shorter than that.
    ///
    /// A fence from outside begins once the lease ended, unless that was given back. From there on every
    /// path is the same: the order to promote, the promotion, and clients that are led there.
    #[must_use]
    pub fn predict(&self, failure: Failure, others: Others) -> Prediction {
        let Others {
            fence_outside,
            dns_ttl,
        } = others;
        let silence = self.silence_max();
        let ends_after = lease::ends_after(self.lease_ttl.value());
        let outside = fence_outside.unwrap_or_default();
        let (detection, fenced_after, outside) = match failure {
            Failure::Process => (silence, silence.saturating_add(ORDER), Duration::ZERO),
            Failure::Host | Failure::Link => (silence, ends_after, outside),
            Failure::HostWithLeader | Failure::Site => (
                ELECTION.saturating_add(silence),
                ELECTION.saturating_add(ends_after),
                outside,
            ),
            Failure::Voter => return self.without_leader(),
        };
        let fencing = fenced_after.saturating_sub(detection);
        Prediction {
            detection,
            fencing: fencing.saturating_add(outside),
            promotion: ORDER + PROMOTION,
            redirect: dns_ttl.map_or(REDIRECT, |ttl| ttl.saturating_add(REDIRECT)),
        }
    }

    /// Every path.
    #[must_use]
    pub fn paths(&self, others: Others) -> [(Failure, Prediction); 6] {
        Failure::ALL.map(|failure| (failure, self.predict(failure, others)))
    }

    /// The path that takes longest. Of those that take equally long it is the first.
    #[must_use]
    pub fn worst(&self, others: Others) -> (Failure, Prediction) {
        let mut worst = (Failure::Host, self.predict(Failure::Host, others));
        for path in self.paths(others) {
            if path.1.total() > worst.1.total() {
                worst = path;
            }
        }
        worst
    }

    /// While the voters elect, nobody's renewal is answered. The latest answer may have been to a
    /// question from a `check_interval` before, and the next one comes an order after the election. A
    /// lease that outlasts all that notices nothing; under a shorter one the guard stops the server, and
    /// starts it again where it was.
    fn without_leader(&self) -> Prediction {
        let check = self.check_interval.value();
        let unanswered = check.saturating_add(ELECTION).saturating_add(ORDER);
        if unanswered <= self.stops_after() {
            return Prediction::default();
        }
        Prediction {
            detection: ELECTION,
            fencing: Duration::ZERO,
            promotion: ORDER + PROMOTION,
            redirect: REDIRECT,
        }
    }
}

impl Prediction {
    /// From the failure to the first write that clients can do.
    #[must_use]
    pub fn total(&self) -> Duration {
        [self.fencing, self.promotion, self.redirect]
            .into_iter()
            .fold(self.detection, Duration::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/dr.md");

    fn milliseconds(preset: Preset, failure: Failure) -> u128 {
        let told = preset.timings().predict(failure, Others::default());
        told.total().as_millis()
    }

    #[test]
    fn each_path_of_each_preset_takes_as_long_as_its_parts() {
        let table: [(Preset, [u128; 6]); 3] = [
            (Preset::Fast, [4500, 4924, 4924, 8924, 8924, 6500]),
            (Preset::Standard, [9000, 12_600, 12_600, 16_600, 16_600, 0]),
            (Preset::Wide, [18_000, 32_800, 32_800, 36_800, 36_800, 0]),
        ];
        for (preset, expected) in table {
            let found = Failure::ALL.map(|failure| milliseconds(preset, failure));
            assert_eq!(found, expected, "{preset}");
        }
    }

    #[test]
    fn docs_dr_md_says_the_same() {
        for failure in Failure::ALL {
            let presets = [Preset::Fast, Preset::Standard, Preset::Wide];
            let cells = presets.map(|preset| match milliseconds(preset, failure) {
                0 => "0 s".to_owned(),
                told => format!("{:.1} s", told as f64 / 1000.0),
            });
            let row = format!("| `{failure}` | {} |", cells.join(" | "));
            assert!(PAGE.contains(&row), "{row}");
        }
    }

    #[test]
    fn nothing_that_was_measured_took_longer() {
        // The longest trial of each row of docs/failover.md.
        for (preset, failure, measured_ms) in [
            (Preset::Fast, Failure::Host, 4170_u128),
            (Preset::Fast, Failure::HostWithLeader, 7340),
            (Preset::Standard, Failure::Host, 10_950),
            (Preset::Standard, Failure::HostWithLeader, 14_640),
        ] {
            let predicted = milliseconds(preset, failure);
            assert!(measured_ms <= predicted, "{preset}, {failure}: {predicted}");
        }
    }

    #[test]
    fn a_host_that_dies_alone_takes_what_its_preset_is_made_for() {
        for (preset, total_max_ms) in [
            (Preset::Fast, 5_000_u128),
            (Preset::Standard, 20_000),
            (Preset::Wide, 60_000),
        ] {
            let predicted = milliseconds(preset, Failure::Host);
            assert!(predicted <= total_max_ms, "{preset}: {predicted}");
        }
    }

    #[test]
    fn the_worst_path_is_that_of_a_leader_that_dies_with_the_primary() {
        for preset in [Preset::Fast, Preset::Standard, Preset::Wide] {
            let timings = preset.timings();
            let (failure, worst) = timings.worst(Others::default());
            assert_eq!(failure, Failure::HostWithLeader, "{preset}");
            let elsewhere = timings.predict(Failure::Host, Others::default());
            assert_eq!(worst.total(), elsewhere.total() + ELECTION, "{preset}");
            for (failure, path) in timings.paths(Others::default()) {
                assert!(path.total() <= worst.total(), "{preset}, {failure}");
            }
        }
    }

    #[test]
    fn a_lease_that_outlasts_an_election_notices_nothing_of_it() {
        let mut timings = Preset::Standard.timings();
        let nothing = timings.predict(Failure::Voter, Others::default());
        assert_eq!(nothing, Prediction::default());
        timings.lease_ttl = "9s".parse().unwrap();
        let stopped = timings.predict(Failure::Voter, Others::default());
        assert_eq!(stopped.detection, ELECTION);
        assert_eq!(stopped.fencing, Duration::ZERO, "nobody else is promoted");
    }

    #[test]
    fn clients_that_remember_an_address_wait_until_they_forget_it() {
        let timings = Preset::Fast.timings();
        let ttl = Duration::from_secs(30);
        let others = Others {
            dns_ttl: Some(ttl),
            ..Others::default()
        };
        let told = timings.predict(Failure::Host, others);
        assert_eq!(told.redirect, ttl + REDIRECT);
    }

    #[test]
    fn a_fence_from_outside_begins_at_the_end_of_the_lease_unless_that_was_given_back() {
        let timings = Preset::Fast.timings();
        let others = Others {
            fence_outside: Some(Duration::from_secs(60)),
            ..Others::default()
        };
        for (failure, more_s) in [
            (Failure::Process, 0),
            (Failure::Host, 60),
            (Failure::Link, 60),
            (Failure::HostWithLeader, 60),
            (Failure::Site, 60),
            (Failure::Voter, 0),
        ] {
            let without = timings.predict(failure, Others::default());
            let with = timings.predict(failure, others);
            assert_eq!(with.fencing, without.fencing + Duration::from_secs(more_s));
        }
    }
}
