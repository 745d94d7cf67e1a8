//! The federation: whoever leads it answers renewals, decides and commits.

use std::collections::BTreeSet;

use super::super::change::PlanChange;
use super::super::duty::duty;
use super::super::machine::{Next, next};
use super::super::notes::has_it;
use super::super::position::Position;
use super::super::record::PlanRecord;
use super::super::sight::{CopyRole, CopySight, LeaseSight, Sight};
use super::drills::{all_but_drills, is_of_a_drill};
use super::host::TICK;
use super::world::{COPIES, VOTERS, World, cluster, lease_name, node};
use crate::lease::Lease;
use crate::name::ClusterName;
use crate::object::federation::ReplicationMode;

/// How long the voters are without a leader after theirs is gone, in ticks.
const ELECTION_TICKS: u32 = 30;
/// Since when the simulation's clock runs, in seconds since 1970.
const BEGAN_UNIX_S: u64 = 1_000_000;

impl World {
    pub(super) fn renew(&mut self, number: usize) {
        let Some(leader) = self.leader.filter(|leader| self.has_majority(*leader)) else {
            return;
        };
        let Some(epoch) = self.hosts[number].guard.as_ref().map(|guard| guard.epoch()) else {
            return;
        };
        if !self.reaches(number, leader) {
            return;
        }
        let (name, now) = (lease_name(), self.now());
        let held = self.lease.as_ref();
        let answer = self
            .book
            .renew((&name, epoch), held, &node(number), (self.term, now));
        if answer.is_ok() {
            self.renewed = self.tick;
        }
        // The answer may be lost on its way; then it counts for the leader and not for the guard.
        if !self.once_in(10) {
            self.hosts[number].renewed(epoch, answer.ok());
        }
    }

    pub(super) fn lead(&mut self) {
        let Some(leader) = self.leader.filter(|leader| self.has_majority(*leader)) else {
            self.leader = None;
            self.election = self.election.saturating_sub(1);
            if self.election == 0 {
                let first = match self.favourite {
                    Some(favourite) => favourite,
                    None => self.random.pick(VOTERS),
                };
                let able = (0..VOTERS)
                    .map(|n| (n + first) % VOTERS)
                    .find(|n| self.has_majority(*n));
                if let Some(leader) = able {
                    self.term += 1;
                    self.leader = Some(leader);
                    self.election = ELECTION_TICKS;
                    self.book.begin(self.term, self.now(), self.revision);
                    self.heard.clear();
                    self.drill_told = None;
                    self.in_effect = None;
                    self.renewed = self.tick;
                    self.step_since = self.tick;
                    self.tell(format!("{leader} leads"));
                }
            }
            return;
        };
        for number in 0..COPIES {
            if !self.reaches(number, leader) {
                continue;
            }
            // Reports and duties take their time.
            if !self.once_in(2) {
                let told = (self.tick, self.hosts[number].sight());
                self.heard.insert(cluster(number), told);
            }
            if self.once_in(2) {
                continue;
            }
            let wanted = duty(&self.terms, &self.record, &cluster(number));
            let revision = self.revision;
            self.hosts[number].hear(revision, wanted);
            self.drill_at(number);
            if let Some(epoch) = self.hosts[number].releases.take()
                && let Some(lease) = self
                    .lease
                    .take_if(|lease| lease.holder == node(number) && lease.epoch == epoch)
            {
                self.revision += 1;
                self.tell(format!("c{number} gives the lease {} back", lease.epoch));
            }
        }
        let sight = self.sight();
        match next(&self.terms, &self.record, &sight) {
            Next::Rest => self.last_wait = None,
            Next::Wait(why) => {
                if self.last_wait.as_ref() != Some(&why) {
                    self.last_wait = Some(why.clone());
                    self.tell(format!("waits: {why}"));
                }
            }
            Next::FenceOutside(cluster) => {
                self.tell(format!("{cluster} is fenced from outside"));
                self.fenced_outside = Some(self.tick);
                let number = cluster.as_str().trim_start_matches('c').parse();
                let number: usize = number.unwrap();
                if self.hosts[number].is_up {
                    self.crash(number);
                }
            }
            Next::Commit(change) => self.commit(&change),
        }
    }

    /// As the leader's lookout remembers it.
    fn in_effect_at(&mut self) -> Option<Position> {
        let primary = self.record.primary.as_ref()?;
        let (_, told) = self.heard.get(primary)?;
        let position = told.position.filter(|_| has_it(&self.record, told));
        match (self.in_effect, position) {
            (Some((revision, at)), _) if revision == self.record.wanted_revision => Some(at),
            (_, Some(position)) => {
                self.in_effect = Some((self.record.wanted_revision, position));
                Some(position)
            }
            (_, None) => None,
        }
    }

    /// As the leader's lookout tells.
    fn is_primary_heard(&self) -> bool {
        let primary = self.record.primary.as_ref();
        let told = primary.and_then(|primary| self.heard.get(primary));
        told.is_some_and(|(at, told)| {
            let is_fresh = TICK * (self.tick - at) < self.terms.timings.lately();
            is_fresh && told.role == CopyRole::Primary && told.epoch == self.record.epoch
        })
    }

    pub(super) fn now_unix_s(&self) -> u64 {
        BEGAN_UNIX_S + u64::from(self.tick / 10)
    }

    pub(super) fn sight(&mut self) -> Sight {
        let (name, now) = (lease_name(), self.now());
        let lease = match &self.lease {
            None => LeaseSight::Free,
            Some(lease) => LeaseSight::Held {
                holder: lease.holder.clone(),
                epoch: lease.epoch,
                silent_for: TICK * (self.tick - self.renewed),
                has_ended: self.book.has_ended(&name, lease, (self.term, now)),
            },
        };
        let copies = self.heard.iter().map(|(cluster, (at, told))| {
            let ago = TICK * (self.tick - at);
            (
                cluster.clone(),
                CopySight {
                    ago,
                    ..told.clone()
                },
            )
        });
        let copies = copies.collect();
        let in_effect_at = self.in_effect_at();
        Sight {
            lease,
            copies,
            in_effect_at,
            is_heard: self.is_primary_heard(),
            fenced_outside: self.fenced_outside.map(|at| TICK * (self.tick - at)),
            redirected: true,
            drill: self.drill_told.clone(),
            now_unix_s: self.now_unix_s(),
            step_for: TICK * (self.tick - self.step_since),
            quorum_trouble: self.quorum_trouble.clone(),
        }
    }

    pub(super) fn commit(&mut self, change: &PlanChange) {
        if let PlanChange::Promoted { cluster: to, .. } = change {
            let (name, now) = (lease_name(), self.now());
            let is_confirmed = self
                .record
                .run
                .as_ref()
                .is_some_and(|run| run.fence_confirmed);
            let taken = self.book.take(&name, self.lease.as_ref(), (self.term, now));
            assert!(taken.is_ok() || is_confirmed, "{}", self.story());
            self.revision += 1;
            self.lease = Some(Lease {
                holder: self.record.nodes[to].clone(),
                epoch: self.revision,
                ttl_ms: u64::try_from(self.terms.timings.lease_ttl.value().as_millis()).unwrap(),
                ttl_max_ms: 0,
            });
            self.book.granted(name, self.revision, (self.term, now));
            self.renewed = self.tick;
            self.check_promotion(to);
        } else {
            self.revision += 1;
        }
        if !change.is_mark() {
            self.tell(change.to_string());
        }
        if matches!(
            change,
            PlanChange::Begun { .. } | PlanChange::Fencing { .. }
        ) {
            self.fenced_outside = None;
        }
        let step = |record: &PlanRecord| {
            record
                .run
                .as_ref()
                .map(|run| (run.phase, run.last_position))
        };
        let before = step(&self.record);
        let former = is_of_a_drill(change).then(|| all_but_drills(&self.record));
        let now_unix_s = self.now_unix_s();
        self.record.apply(change, (self.revision, now_unix_s));
        if let Some(former) = former {
            assert_eq!(former, all_but_drills(&self.record), "{}", self.story());
        }
        if step(&self.record) != before {
            self.step_since = self.tick;
        }
    }

    fn check_promotion(&self, to: &ClusterName) {
        let host = (0..COPIES).find(|n| cluster(*n) == *to).unwrap();
        let Some(database) = &self.hosts[host].disk.database else {
            panic!("promotes nothing: {}", self.story());
        };
        if self.terms.mode == ReplicationMode::Sync && self.record.primary.is_some() {
            let has: BTreeSet<u64> = database.commits.iter().copied().collect();
            let lost = self.acknowledged.difference(&has).next();
            assert_eq!(
                lost,
                None,
                "an acknowledged commit is lost: {}",
                self.story()
            );
        }
        assert!(
            self.record.primary.is_none() || self.record.mark.is_some(),
            "nobody knows the lag: {}",
            self.story()
        );
    }
}
