//! Hosts, links, and a federation that has a leader now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::drill::{DrillSight, DrillTerms};
use super::super::position::Position;
use super::super::record::PlanRecord;
use super::super::sight::{CopyRole, CopySight, Terms};
use super::super::timings::Preset;
use super::host::{Database, Host, TICK};
use crate::lease::{Lease, LeaseBook};
use crate::name::{ClusterName, LeaseName, NodeName};
use crate::object::federation::ReplicationMode;

/// Hosts with a copy; each is a voter too.
pub(super) const COPIES: usize = 3;
/// All voters: the others are witnesses.
pub(super) const VOTERS: usize = 5;

/// What a world is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorldTerms {
    pub(super) mode: ReplicationMode,
    pub(super) automatic_failback: bool,
}

pub(super) struct World {
    pub(super) random: Random,
    /// Nothing is lost or late by chance.
    pub(super) is_calm: bool,
    /// Who leads if it can.
    pub(super) favourite: Option<usize>,
    /// Standbys that receive nothing though they are connected.
    pub(super) stalled: BTreeSet<usize>,
    /// Why nothing may be done by itself.
    pub(super) quorum_trouble: Option<String>,
    /// When the primary's site was fenced from outside in this run.
    pub(super) fenced_outside: Option<u32>,
    /// What was told last of a drill.
    pub(super) drill_told: Option<DrillSight>,
    pub(super) terms: Terms,
    pub(super) hosts: Vec<Host>,
    /// Witnesses that are up.
    pub(super) witnesses: [bool; VOTERS - COPIES],
    /// `cut[a][b]`: nothing gets from a to b.
    pub(super) cut: [[bool; VOTERS]; VOTERS],
    pub(super) record: PlanRecord,
    pub(super) lease: Option<Lease>,
    pub(super) revision: u64,
    pub(super) book: LeaseBook,
    pub(super) leader: Option<usize>,
    /// Ticks until the next leader.
    pub(super) election: u32,
    pub(super) term: u64,
    /// What each copy told this leader last, and when, in ticks.
    pub(super) heard: BTreeMap<ClusterName, (u32, CopySight)>,
    /// Where the primary was when it first told that a set is in effect, by the revision of that.
    pub(super) in_effect: Option<(u64, Position)>,
    pub(super) renewed: u32,
    pub(super) step_since: u32,
    pub(super) tick: u32,
    pub(super) next_commit: u64,
    pub(super) acknowledged: BTreeSet<u64>,
    pub(super) story: Vec<String>,
    pub(super) last_wait: Option<String>,
}

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }
}

pub(super) fn cluster(host: usize) -> ClusterName {
    format!("c{host}").parse().unwrap()
}

pub(super) fn node(host: usize) -> NodeName {
    format!("n{host}").parse().unwrap()
}

pub(super) fn lease_name() -> LeaseName {
    "orders".parse().unwrap()
}

fn role_word(role: CopyRole) -> &'static str {
    match role {
        CopyRole::Absent => "has no data",
        CopyRole::Seeding => "is being made",
        CopyRole::Stopped => "is stopped",
        CopyRole::Following => "follows",
        CopyRole::Detached => "is detached",
        CopyRole::Primary => "takes writes",
    }
}

impl World {
    /// What each copy is.
    pub(super) fn roles(&self) -> String {
        let hosts = self.hosts.iter().enumerate();
        let each = hosts.map(|(number, host)| match host.is_up {
            true => format!("c{number} {}", role_word(host.role)),
            false => format!("c{number} is off"),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn new(seed: u64, terms: WorldTerms) -> Self {
        let mut random = Random(seed);
        let mut record = PlanRecord::default();
        let hosts = (0..COPIES).map(|host| {
            record.nodes.insert(cluster(host), node(host));
            let drift = i64::try_from(random.below(9)).unwrap() - 4;
            Host::new(drift, (host == 0).then(Database::default))
        });
        let hosts = hosts.collect();
        Self {
            terms: Terms {
                revision: 1,
                home: cluster(0),
                standbys: (1..COPIES).map(cluster).collect(),
                timings: Preset::Standard.timings(),
                automatic_failover: true,
                automatic_failback: terms.automatic_failback,
                lag_bytes_max: 1000,
                mode: terms.mode,
                in_sync_min: 1,
                drill: DrillTerms {
                    schedule: None,
                    timeout: Duration::from_secs(120),
                },
                is_guarded: true,
                fenced_outside: BTreeSet::new(),
            },
            hosts,
            witnesses: [true; VOTERS - COPIES],
            cut: [[false; VOTERS]; VOTERS],
            record,
            lease: None,
            revision: 1,
            book: LeaseBook::default(),
            leader: None,
            election: 1,
            term: 0,
            heard: BTreeMap::new(),
            in_effect: None,
            renewed: 0,
            step_since: 0,
            tick: 0,
            next_commit: 1,
            acknowledged: BTreeSet::new(),
            story: vec![format!("seed {seed}")],
            last_wait: None,
            is_calm: false,
            favourite: None,
            stalled: BTreeSet::new(),
            quorum_trouble: None,
            fenced_outside: None,
            drill_told: None,
            random,
        }
    }

    /// The same, in which nothing happens by chance.
    pub(super) fn calm(terms: WorldTerms) -> Self {
        let mut world = Self::new(0, terms);
        world.is_calm = true;
        world.favourite = Some(COPIES);
        for host in &mut world.hosts {
            host.drift = 0;
        }
        world
    }

    /// Whether something happens that happens once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        !self.is_calm && self.random.below(times) == 0
    }

    pub(super) fn record(&self) -> &PlanRecord {
        &self.record
    }

    pub(super) fn story(&self) -> String {
        let from = self.story.len().saturating_sub(120);
        format!(
            "{}\n{}\n{:?}\nlease {:?} leader {:?} hosts {:#?}",
            self.story[0],
            self.story[from..].join("\n"),
            self.record,
            self.lease,
            self.leader,
            self.hosts
                .iter()
                .map(|host| (
                    host.is_up,
                    host.role,
                    host.disk.duty.clone(),
                    host.disk.barrier
                ))
                .collect::<Vec<_>>()
        )
    }

    /// The host that takes writes.
    pub(super) fn primary(&self) -> Option<usize> {
        (0..COPIES).find(|host| self.hosts[*host].writes())
    }

    pub(super) fn tell(&mut self, what: String) {
        let (seconds, tenths) = (self.tick / 10, self.tick % 10);
        self.story.push(format!("{seconds:5}.{tenths} {what}"));
    }

    pub(super) fn is_up(&self, voter: usize) -> bool {
        match self.hosts.get(voter) {
            Some(host) => host.is_awake(),
            None => self.witnesses[voter - COPIES],
        }
    }

    /// Whether both can talk: a connection needs both ways.
    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        let is_whole = a == b || !(self.cut[a][b] || self.cut[b][a]);
        is_whole && self.is_up(a) && self.is_up(b)
    }

    pub(super) fn has_majority(&self, voter: usize) -> bool {
        let reached = (0..VOTERS).filter(|other| self.reaches(voter, *other));
        self.is_up(voter) && reached.count() > VOTERS / 2
    }

    pub(super) fn now(&self) -> Duration {
        TICK * self.tick
    }

    pub(super) fn crash(&mut self, host: usize) {
        self.tell(format!("c{host} dies"));
        self.hosts[host].crash();
    }

    pub(super) fn restart(&mut self, host: usize) {
        self.tell(format!("c{host} starts"));
        self.hosts[host].is_up = true;
    }

    pub(super) fn run_for_ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.step();
        }
    }

    /// Declares the plan otherwise.
    pub(super) fn declare(&mut self, change: impl FnOnce(&mut Terms)) {
        self.revision += 1;
        self.terms.revision = self.revision;
        change(&mut self.terms);
    }

    /// A minute of peace, then five of faults.
    pub(super) fn suffer(&mut self) {
        self.run_for_ticks(200);
        self.suffer_for_ticks(1500);
    }

    /// So many ticks of faults.
    pub(super) fn suffer_for_ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            if self.random.below(40) == 0 {
                self.fault();
            }
            self.step();
        }
    }

    fn fault(&mut self) {
        match self.random.below(9) {
            0 | 1 => {
                let host = self.random.pick(COPIES);
                if self.hosts[host].is_up {
                    self.crash(host);
                }
            }
            2 | 3 => {
                let host = self.random.pick(COPIES);
                if !self.hosts[host].is_up {
                    self.restart(host);
                }
            }
            4 => {
                let (a, b) = (self.random.pick(VOTERS), self.random.pick(VOTERS));
                self.tell(format!("cut {a} → {b}"));
                self.cut[a][b] = true;
            }
            5 => {
                let alone = self.random.pick(VOTERS);
                self.tell(format!("cut off {alone}"));
                for other in 0..VOTERS {
                    self.cut[alone][other] = true;
                    self.cut[other][alone] = true;
                }
            }
            6 => {
                self.tell("links are whole".to_owned());
                self.cut = [[false; VOTERS]; VOTERS];
            }
            7 => {
                let host = self.random.pick(COPIES);
                if self.hosts[host].is_awake() {
                    self.tell(format!("c{host} stands still"));
                    self.hosts[host].frozen_for_ticks = Some(0);
                }
            }
            _ => {
                let witness = self.random.pick(VOTERS - COPIES);
                self.witnesses[witness] = !self.witnesses[witness];
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.tell("everything heals".to_owned());
        self.cut = [[false; VOTERS]; VOTERS];
        self.witnesses = [true; VOTERS - COPIES];
        for host in &mut self.hosts {
            host.is_up = true;
            host.frozen_for_ticks = None;
        }
    }

    fn step(&mut self) {
        self.tick += 1;
        let roles: Vec<CopyRole> = self.hosts.iter().map(|host| host.role).collect();
        let stop_budget = self.terms.timings.stop_budget.value();
        let stop_ticks = u32::try_from(stop_budget.as_millis() / TICK.as_millis()).unwrap();
        let check_interval = self.terms.timings.check_interval.value();
        for number in 0..COPIES {
            let wakes = self.once_in(20);
            let host = &mut self.hosts[number];
            host.pass();
            if let Some(ticks) = host.frozen_for_ticks {
                // The watchdog of its guard's unit ends the workload; it may wake before.
                let is_bitten = ticks >= stop_ticks;
                if is_bitten {
                    host.end_workload();
                }
                host.frozen_for_ticks = (!is_bitten && !wakes).then_some(ticks + 1);
                continue;
            }
            if !host.is_up {
                continue;
            }
            let asks = host.guard_tick(check_interval, stop_budget);
            let slow = self.once_in(20);
            if asks && !slow {
                self.renew(number);
            }
        }
        self.lead();
        self.replicate();
        self.write();
        self.check();
        for (number, before) in roles.into_iter().enumerate() {
            let role = self.hosts[number].role;
            if role != before {
                self.tell(format!("c{number} {}", role_word(role)));
            }
        }
    }

    fn check(&self) {
        let writers: Vec<usize> = (0..COPIES).filter(|n| self.hosts[*n].writes()).collect();
        assert!(
            writers.len() <= 1,
            "two writers {writers:?}: {}",
            self.story()
        );
    }

    pub(super) fn assert_serves(&self) {
        assert!(self.primary().is_some(), "nobody serves: {}", self.story());
        assert_eq!(self.record.run, None, "{}", self.story());
    }

    pub(super) fn assert_all_follow(&self) {
        self.assert_serves();
        let follow = self
            .hosts
            .iter()
            .filter(|host| host.role == CopyRole::Following);
        assert_eq!(follow.count(), COPIES - 1, "{}", self.story());
    }

    pub(super) fn assert_serves_or_explains(&self) {
        let serves = self.primary().is_some() && self.record.run.is_none();
        assert!(serves || self.last_wait.is_some(), "{}", self.story());
    }

    /// How many commits were acknowledged and are not with the primary.
    pub(super) fn lost(&self) -> usize {
        let primary = self.primary().map(|primary| &self.hosts[primary].disk);
        let commits = primary.and_then(|disk| disk.database.as_ref());
        let has = commits.into_iter().flat_map(|database| &database.commits);
        let has: BTreeSet<u64> = has.copied().collect();
        self.acknowledged.difference(&has).count()
    }

    /// Whatever was acknowledged is with whoever is primary in the end.
    pub(super) fn assert_nothing_lost(&mut self) {
        self.heal();
        self.run_for_ticks(1500);
        self.assert_serves();
        assert_eq!(self.lost(), 0, "{}", self.story());
    }
}
