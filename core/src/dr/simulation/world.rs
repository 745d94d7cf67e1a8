//! Hosts, links, and a federation that has a leader now and then.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::drill::DrillTerms;
use super::super::lookout::Lookout;
use super::super::record::PlanRecord;
use super::super::sight::{CopyRole, Terms};
use super::super::timings::Preset;
use super::clock::Clock;
use super::host::{Database, Host, TICK};
use super::network::{Letter, Message};
use super::random::Random;
use crate::lease::{Lease, LeaseBook};
use crate::name::{ClusterName, LeaseName, NodeName, PlanName};
use crate::object::federation::ReplicationMode;

/// Hosts with a copy; each is a voter too.
pub(super) const COPIES: usize = 3;
/// All voters: the others are witnesses.
pub(super) const VOTERS: usize = 5;
/// Once in so many ticks a host goes on whose processes stand still, or whose machine was paused.
const THAWS_IN: u64 = 20;
const WAKES_IN: u64 = 200;
/// The longest that whoever sees to a plan takes for each step, on average, in ticks.
const PATIENCE_MAX_TICKS: u64 = 120;
/// How long what is expected is waited for, in ticks: something may be under way just then.
const MOMENT_TICKS: u32 = 100;

/// What a world is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorldTerms {
    pub(super) mode: ReplicationMode,
    pub(super) automatic_failback: bool,
    /// Whether a failover needs nobody's word; else somebody sees to the plan.
    pub(super) automatic_failover: bool,
    /// Whether every site is fenced from outside.
    pub(super) is_fenced_outside: bool,
    /// Whether machines are paused with all of their clocks.
    pub(super) has_pauses: bool,
}

/// A voter without a copy.
#[derive(Debug)]
pub(super) struct Witness {
    pub(super) is_up: bool,
    pub(super) clock: Clock,
}

pub(super) struct World {
    pub(super) random: Random,
    /// Nothing is lost or late by chance.
    pub(super) is_calm: bool,
    pub(super) has_pauses: bool,
    /// How long whoever sees to the plan takes for each step, on average, in ticks.
    pub(super) patience_ticks: u64,
    /// Who leads if it can.
    pub(super) favourite: Option<usize>,
    /// Standbys that receive nothing though they are connected.
    pub(super) stalled: BTreeSet<usize>,
    /// Why nothing may be done by itself.
    pub(super) quorum_trouble: Option<String>,
    pub(super) terms: Terms,
    pub(super) hosts: Vec<Host>,
    pub(super) witnesses: Vec<Witness>,
    /// `cut[a][b]`: since when nothing gets from a to b, in ticks.
    pub(super) cut: [[Option<u32>; VOTERS]; VOTERS],
    pub(super) letters: Vec<Letter>,
    pub(super) record: PlanRecord,
    pub(super) lease: Option<Lease>,
    pub(super) revision: u64,
    pub(super) book: LeaseBook,
    pub(super) leader: Option<usize>,
    /// Ticks until the next leader.
    pub(super) election: u32,
    pub(super) term: u64,
    /// What this leader remembers of what it was told.
    pub(super) lookout: Lookout,
    pub(super) tick: u32,
    pub(super) next_commit: u64,
    pub(super) acknowledged: BTreeSet<u64>,
    pub(super) story: Vec<String>,
    /// What the story says last that the plan waits for.
    pub(super) last_wait: Option<String>,
    /// What the plan waits for now.
    pub(super) waits_for: Option<String>,
    /// How often somebody was promoted by what was known of the lag.
    pub(super) promoted_by_lag: u32,
    /// How often nobody was, since that was too old.
    pub(super) held_as_stale: u32,
}

pub(super) fn cluster(host: usize) -> ClusterName {
    format!("c{host}").parse().unwrap()
}

pub(super) fn node(host: usize) -> NodeName {
    format!("n{host}").parse().unwrap()
}

pub(super) fn lease_name() -> LeaseName {
    LeaseName::from(&plan_name())
}

pub(super) fn plan_name() -> PlanName {
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

fn terms_of(world: WorldTerms) -> Terms {
    let sites: BTreeSet<ClusterName> = (0..COPIES).map(cluster).collect();
    Terms {
        revision: 1,
        home: cluster(0),
        standbys: (1..COPIES).map(cluster).collect(),
        timings: Preset::Standard.timings(),
        automatic_failover: world.automatic_failover,
        automatic_failback: world.automatic_failback,
        lag_bytes_max: 1000,
        mode: world.mode,
        in_sync_min: 1,
        drill: DrillTerms {
            schedule: None,
            timeout: Duration::from_secs(120),
        },
        is_guarded: true,
        fenced_outside: match world.is_fenced_outside {
            true => sites,
            false => BTreeSet::new(),
        },
    }
}

impl World {
    pub(super) fn new(seed: u64, terms: WorldTerms) -> Self {
        let mut random = Random::new(seed);
        let mut record = PlanRecord::default();
        let mut hosts = Vec::new();
        for host in 0..COPIES {
            record.nodes.insert(cluster(host), node(host));
            let database = (host == 0).then(Database::default);
            hosts.push(Host::new(Clock::drifting(&mut random), database));
        }
        let witness = |_| Witness {
            is_up: true,
            clock: Clock::drifting(&mut random),
        };
        let witnesses = (COPIES..VOTERS).map(witness).collect();
        Self {
            terms: terms_of(terms),
            hosts,
            witnesses,
            cut: Default::default(),
            letters: Vec::new(),
            record,
            lease: None,
            revision: 1,
            book: LeaseBook::default(),
            leader: None,
            election: 1,
            term: 0,
            lookout: Lookout::default(),
            tick: 0,
            next_commit: 1,
            acknowledged: BTreeSet::new(),
            story: vec![format!("seed {seed}")],
            last_wait: None,
            waits_for: None,
            promoted_by_lag: 0,
            held_as_stale: 0,
            is_calm: false,
            has_pauses: terms.has_pauses,
            patience_ticks: 1 + random.below(PATIENCE_MAX_TICKS),
            favourite: None,
            stalled: BTreeSet::new(),
            quorum_trouble: None,
            random,
        }
    }

    /// The same, in which nothing happens by chance.
    pub(super) fn calm(terms: WorldTerms) -> Self {
        let mut world = Self::new(0, terms);
        world.is_calm = true;
        world.favourite = Some(COPIES);
        for host in &mut world.hosts {
            host.clock = Clock::exact();
        }
        for witness in &mut world.witnesses {
            witness.clock = Clock::exact();
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

    pub(super) fn witness(&self, voter: usize) -> &Witness {
        &self.witnesses[voter - COPIES]
    }

    pub(super) fn witness_mut(&mut self, voter: usize) -> &mut Witness {
        &mut self.witnesses[voter - COPIES]
    }

    pub(super) fn clock(&self, voter: usize) -> &Clock {
        match self.hosts.get(voter) {
            Some(host) => &host.clock,
            None => &self.witness(voter).clock,
        }
    }

    /// What each copy is.
    pub(super) fn roles(&self) -> String {
        let hosts = self.hosts.iter().enumerate();
        let each = hosts.map(|(number, host)| match host.is_up {
            true => format!("c{number} {}", role_word(host.role)),
            false => format!("c{number} is off"),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn story(&self) -> String {
        let from = self.story.len().saturating_sub(120);
        let host = |host: &Host| {
            let disk = &host.disk;
            (host.is_awake(), host.role, disk.duty.clone(), disk.barrier)
        };
        format!(
            "{}\n{}\n{:?}\nlease {:?} leader {:?} hosts {:#?}",
            self.story[0],
            self.story[from..].join("\n"),
            self.record,
            self.lease,
            self.leader,
            self.hosts.iter().map(host).collect::<Vec<_>>()
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

    pub(super) fn crash(&mut self, host: usize) {
        self.tell(format!("c{host} dies"));
        self.hosts[host].crash();
    }

    pub(super) fn restart(&mut self, host: usize) {
        self.tell(format!("c{host} starts"));
        self.hosts[host].is_up = true;
    }

    /// Declares the plan otherwise.
    pub(super) fn declare(&mut self, change: impl FnOnce(&mut Terms)) {
        self.revision += 1;
        self.terms.revision = self.revision;
        change(&mut self.terms);
    }

    pub(super) fn run_for_ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.step();
        }
    }

    /// Whether something is so, now or in a moment.
    fn is_soon(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..MOMENT_TICKS {
            if is_so(self) {
                return true;
            }
            self.step();
        }
        is_so(self)
    }

    fn step(&mut self) {
        self.tick += 1;
        let roles: Vec<CopyRole> = self.hosts.iter().map(|host| host.role).collect();
        let hosts = self.hosts.iter_mut().filter(|host| !host.is_paused);
        let clocks = hosts.map(|host| &mut host.clock);
        let witnesses = self.witnesses.iter_mut();
        clocks
            .chain(witnesses.map(|witness| &mut witness.clock))
            .for_each(Clock::pass);
        self.deliver_what_is_due();
        for number in 0..COPIES {
            self.step_of(number);
        }
        self.operate();
        self.lead();
        self.replicate();
        self.write();
        self.check_writers();
        for (number, before) in roles.into_iter().enumerate() {
            let role = self.hosts[number].role;
            if role != before {
                self.tell(format!("c{number} {}", role_word(role)));
            }
        }
    }

    /// A host that stands still may go on; else its guard has its turn.
    fn step_of(&mut self, number: usize) {
        let stop_budget = self.terms.timings.stop_budget.value();
        let check_interval = self.terms.timings.check_interval.value();
        let (thaws, wakes) = (self.once_in(THAWS_IN), self.once_in(WAKES_IN));
        let host = &mut self.hosts[number];
        if host.is_paused {
            if wakes {
                self.wake(number);
            }
            return;
        }
        if let Some(ticks) = host.frozen_for_ticks {
            // The watchdog of its guard's unit ends the workload; it may go on before.
            let is_bitten = TICK * ticks >= stop_budget;
            if is_bitten && host.is_ended_by_kernel() {
                host.end_workload();
            }
            host.frozen_for_ticks = (!is_bitten && !thaws).then_some(ticks + 1);
            return;
        }
        if !host.is_up {
            return;
        }
        let asks = host.guard_tick(check_interval, stop_budget);
        let is_slow = self.once_in(20);
        let asks = asks.filter(|_| !is_slow);
        if let Some((renewal, leader)) = asks.zip(self.leader) {
            self.send(number, leader, Message::Renew(renewal));
        }
    }

    /// At most one host takes writes. A machine that was paused may for less than a lease, where that is
    /// accepted or where nobody acknowledges what it writes.
    fn check_writers(&self) {
        let writers: Vec<usize> = (0..COPIES).filter(|n| self.hosts[*n].writes()).collect();
        let rest = self.terms.timings.lease_ttl.value();
        let may_pause = self.has_pauses && self.terms.fenced_outside.is_empty();
        let latest = writers.iter().map(|n| self.hosts[*n].disk.epoch).max();
        for writer in &writers {
            let host = &self.hosts[*writer];
            // What was left of its lease when its clock stood still, and a tick on either side.
            let went_on = |woke: u32| TICK * (self.tick - woke) <= rest + TICK * 3;
            let is_rest = may_pause && host.woke_tick.is_some_and(went_on);
            assert!(
                writers.len() == 1 || Some(host.disk.epoch) == latest || is_rest,
                "c{writer} writes beside another: {}",
                self.story()
            );
        }
        let first = writers
            .iter()
            .filter(|n| Some(self.hosts[**n].disk.epoch) == latest);
        assert!(first.count() <= 1, "{}", self.story());
    }

    fn serves(&self) -> bool {
        self.primary().is_some() && self.record.run.is_none()
    }

    pub(super) fn assert_serves(&mut self) {
        assert!(
            self.is_soon(Self::serves),
            "nobody serves: {}",
            self.story()
        );
    }

    pub(super) fn assert_all_follow(&mut self) {
        let all_follow = |world: &Self| {
            let hosts = world.hosts.iter();
            let follow = hosts.filter(|host| host.role == CopyRole::Following);
            world.serves() && follow.count() == COPIES - 1
        };
        assert!(self.is_soon(all_follow), "{}", self.story());
    }

    /// Somebody takes writes, or the plan says now what it waits for: not what it waited for once.
    pub(super) fn assert_serves_or_explains(&mut self) {
        let is_well = |world: &Self| world.serves() || world.waits_for.is_some();
        assert!(self.is_soon(is_well), "nobody says why: {}", self.story());
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
