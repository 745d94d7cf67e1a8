//! One host: its clock, its guard, its server, and what its agent makes of its duty.

use std::collections::BTreeMap;
use std::time::Duration;

use imbl::Vector;

use super::super::choose::SyncSet;
use super::super::duty::Duty;
use super::super::guard::{Guard, GuardStep, GuardTerms};
use super::super::position::Position;
use super::super::sight::{CopyRole, CopySight};
use super::clock::Clock;
use super::drills::Practice;
use crate::name::NodeName;

/// One tick of real time.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// A database: each commit is a number, and the branch on which it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) branch: u64,
    pub(super) commits: Vector<u64>,
    /// It was rewound and has not got to the end of a branch since: what it has of its own is less than
    /// its position tells.
    pub(super) is_rewound: bool,
}

/// What a restart of the host keeps.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) duty: (u64, Duty),
    pub(super) barrier: u64,
    pub(super) epoch: u64,
    /// The lease that goes back, or went: nothing runs under it ever again.
    pub(super) gives_back: u64,
    pub(super) database: Option<Database>,
    /// The latest drill that it began.
    pub(super) drilled: u64,
    /// Whether it was primary last, and may have what nobody else has.
    pub(super) may_diverge: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) disk: Disk,
    pub(super) is_up: bool,
    /// How often it was started: nothing that was sent to it before gets there after.
    pub(super) boots: u32,
    /// Every process of it stands still; the kernel's watchdog ends the workload in time.
    pub(super) frozen_for_ticks: Option<u32>,
    /// The whole machine stands still, its clock and its kernel with it.
    pub(super) is_paused: bool,
    /// When it went on after it was paused last, in ticks.
    pub(super) woke_tick: Option<u32>,
    pub(super) role: CopyRole,
    pub(super) set: SyncSet,
    pub(super) guard: Option<Guard>,
    /// What is wrong with its copy.
    pub(super) trouble: Option<String>,
    /// The revision of the duty that it has put into effect.
    obeyed: u64,
    pub(super) clock: Clock,
    /// How far the standbys of its branch told to be, each with that branch.
    pub(super) received: BTreeMap<usize, (u64, usize)>,
    /// The drill that it holds.
    pub(super) drill: Option<Practice>,
    /// The server has stopped in good order, and the lease may go back.
    pub(super) releases: Option<u64>,
}

/// What a guard asks its leader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewal {
    /// The lease.
    pub(super) epoch: u64,
    /// When it was sent, by the host's clock.
    pub(super) sent: Duration,
    /// How far the workload is; none: it doesn't run.
    pub(super) offset_bytes: Option<u64>,
}

/// How many commits a standby receives in one tick at most.
const RECEIVED_MAX: usize = 7;

/// What a standby has after one more tick: without what the primary doesn't have, and more of what it
/// has. It is on the primary's branch once it has all.
fn nearer(own: Option<&Database>, source: &Database) -> Database {
    let has = own.map_or(0, |own| {
        if own.branch == source.branch {
            return own.commits.len();
        }
        let pairs = own.commits.iter().zip(&source.commits);
        pairs.take_while(|(one, other)| one == other).count()
    });
    let length = source.commits.len().min(has + RECEIVED_MAX);
    let is_there = length == source.commits.len();
    let branch = match is_there {
        true => source.branch,
        false => own.map_or(0, |own| own.branch),
    };
    let loses = |own: &Database| own.is_rewound || has < own.commits.len();
    Database {
        branch,
        commits: source.commits.take(length),
        is_rewound: !is_there && own.is_some_and(loses),
    }
}

impl Database {
    pub(super) fn position(&self) -> Position {
        Position {
            branch: self.branch,
            offset_bytes: self.commits.len() as u64,
        }
    }
}

impl Host {
    pub(super) fn new(clock: Clock, database: Option<Database>) -> Self {
        Self {
            disk: Disk {
                duty: (0, Duty::Wait),
                barrier: 0,
                epoch: 0,
                gives_back: 0,
                drilled: 0,
                database,
                may_diverge: false,
            },
            is_up: true,
            boots: 0,
            frozen_for_ticks: None,
            is_paused: false,
            woke_tick: None,
            role: CopyRole::Stopped,
            set: SyncSet::default(),
            guard: None,
            trouble: None,
            obeyed: 0,
            clock,
            received: BTreeMap::new(),
            drill: None,
            releases: None,
        }
    }

    /// Whom it is to follow.
    pub(super) fn followed(&self) -> Option<NodeName> {
        match &self.disk.duty.1 {
            Duty::Follow { primary, .. } => Some(primary.clone()),
            Duty::Wait | Duty::Lead { .. } | Duty::Detach { .. } | Duty::Stop { .. } => None,
        }
    }

    /// Whether it takes writes and is to stop in good order.
    pub(super) fn is_to_stop(&self) -> bool {
        let is_told = match &self.disk.duty.1 {
            Duty::Stop { .. } => true,
            Duty::Wait | Duty::Lead { .. } | Duty::Follow { .. } | Duty::Detach { .. } => false,
        };
        is_told && self.writes()
    }

    pub(super) fn is_awake(&self) -> bool {
        self.is_up && self.frozen_for_ticks.is_none() && !self.is_paused
    }

    /// Whether the kernel ends the workload if its guard does not look after it.
    pub(super) fn is_ended_by_kernel(&self) -> bool {
        match &self.disk.duty.1 {
            Duty::Lead { fences_itself, .. } => *fences_itself,
            Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => true,
        }
    }

    /// Whether it may acknowledge a write at this moment.
    pub(super) fn writes(&self) -> bool {
        self.is_awake() && self.role == CopyRole::Primary
    }

    pub(super) fn sight(&self) -> CopySight {
        let database = self.disk.database.as_ref();
        CopySight {
            ago: Duration::ZERO,
            role: database.map_or(CopyRole::Absent, |_| self.role),
            revision: self.obeyed,
            barrier: self.disk.barrier,
            epoch: self.disk.epoch,
            fences_itself: match &self.disk.duty.1 {
                Duty::Lead { fences_itself, .. } => *fences_itself,
                Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => false,
            },
            position: database.map(Database::position),
            received_epoch: database.map_or(0, |database| database.position().branch),
            set: self.set.clone(),
            trouble: self.trouble.clone(),
        }
    }

    pub(super) fn crash(&mut self) {
        self.is_up = false;
        self.boots += 1;
        self.frozen_for_ticks = None;
        self.is_paused = false;
        self.end_workload();
        self.guard = None;
        self.drill = None;
        self.releases = None;
    }

    pub(super) fn end_workload(&mut self) {
        self.role = CopyRole::Stopped;
        self.received.clear();
    }

    pub(super) fn hear(&mut self, revision: u64, duty: Duty) {
        if revision > self.disk.duty.0 {
            self.disk.duty = (revision, duty);
        }
    }

    /// The guard's part of a tick; yields what it asks now.
    pub(super) fn guard_tick(
        &mut self,
        check_interval: Duration,
        stop_budget: Duration,
    ) -> Option<Renewal> {
        let (now, runs) = (self.clock.now(), self.role == CopyRole::Primary);
        let Duty::Lead {
            epoch,
            fences_itself,
            ..
        } = &self.disk.duty.1
        else {
            // A server that leads and may lead no more ends in good order: see `obey`.
            if let Some(guard) = &self.guard
                && guard.step(now, runs) == GuardStep::Stop
            {
                self.end_workload();
            }
            return None;
        };
        let epoch = *epoch;
        let terms = GuardTerms {
            check_interval,
            stop_budget,
            fences_itself: *fences_itself,
        };
        let is_other = |guard: &Guard| guard.epoch() != epoch;
        if self.guard.as_ref().is_none_or(is_other) {
            self.guard = Some(Guard::new(epoch, terms, now));
        }
        let guard = self.guard.as_mut()?;
        guard.set_terms(terms);
        match guard.step(now, runs) {
            GuardStep::Rest { .. } => None,
            GuardStep::Stop => {
                self.end_workload();
                None
            }
            GuardStep::Renew | GuardStep::RenewStopped => {
                guard.asked(now);
                let database = self.disk.database.as_ref().filter(|_| runs);
                let renewal = Renewal {
                    epoch,
                    sent: now,
                    offset_bytes: database.map(|database| database.position().offset_bytes),
                };
                (self.disk.gives_back != epoch).then_some(renewal)
            }
        }
    }

    /// A renewal that was sent at a moment was answered; none: the lease is another's.
    pub(super) fn renewed(&mut self, (epoch, sent): (u64, Duration), ttl: Option<Duration>) {
        let Some(guard) = self.guard.as_mut().filter(|guard| guard.epoch() == epoch) else {
            return;
        };
        match ttl {
            Some(ttl) => guard.answered(sent, ttl),
            None => guard.lost(),
        }
    }

    /// A standby told how far it is on a branch. What comes late is no step back.
    pub(super) fn note_received(&mut self, standby: usize, told: (u64, usize)) {
        let known = self.received.entry(standby).or_insert(told);
        *known = told.max(*known);
    }

    /// Whether its guard lets it write under a lease.
    fn may_run(&self, epoch: u64) -> bool {
        let guard = self.guard.as_ref().filter(|guard| guard.epoch() == epoch);
        let is_held = guard.is_some_and(|guard| guard.may_run(self.clock.now()));
        is_held && self.disk.gives_back != epoch
    }

    /// The agent's part of a tick: one step towards what the duty says. `source`: the database of the
    /// primary that it is to follow, if it can be reached.
    pub(super) fn obey(&mut self, source: Option<(u64, &Database)>, keeps_up: bool) {
        self.obeyed = self.disk.duty.0;
        self.practise();
        match self.disk.duty.1.clone() {
            Duty::Wait => {}
            Duty::Lead { epoch, set, .. } => {
                if self.disk.gives_back == epoch {
                    self.releases = Some(epoch);
                }
                let is_other = self.role != CopyRole::Primary;
                if self.may_run(epoch) && is_other && self.disk.database.is_some() {
                    // Configured before it takes the first write.
                    self.set = set;
                    self.received.clear();
                    if let Some(database) = &mut self.disk.database {
                        database.branch = epoch;
                    }
                    self.disk.epoch = epoch;
                    self.disk.may_diverge = true;
                    self.role = CopyRole::Primary;
                } else if self.role == CopyRole::Primary {
                    self.set = set;
                }
            }
            Duty::Follow { epoch, .. } => {
                if self.role == CopyRole::Primary {
                    self.end_workload();
                }
                self.guard = None;
                let Some((leads_with, source)) = source.filter(|(leads, _)| *leads >= epoch) else {
                    return;
                };
                if leads_with != epoch || !keeps_up {
                    return;
                }
                // Rewound, made anew or streamed: in the end it has what the primary has.
                self.disk.database = Some(nearer(self.disk.database.as_ref(), source));
                self.disk.may_diverge = false;
                self.role = CopyRole::Following;
            }
            Duty::Detach { barrier } => {
                if self.role == CopyRole::Primary {
                    self.end_workload();
                }
                self.disk.barrier = self.disk.barrier.max(barrier);
                if self.disk.database.is_some() {
                    self.role = CopyRole::Detached;
                }
            }
            Duty::Stop { barrier } => {
                self.end_workload();
                self.disk.barrier = self.disk.barrier.max(barrier);
                self.disk.gives_back = self.disk.epoch;
                self.releases = Some(self.disk.epoch);
            }
        }
    }
}
