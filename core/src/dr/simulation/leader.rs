//! The federation: whoever leads it answers renewals, decides and commits.

use std::time::Duration;

use super::super::change::PlanChange;
use super::super::drill::DrillSight;
use super::super::duty::{Duty, duty};
use super::super::lookout::{Circumstances, Lookout};
use super::super::machine::{Next, next};
use super::super::position::Position;
use super::super::record::Phase;
use super::super::sight::{CopySight, LeaseSight, Sight};
use super::drills::{all_but_drills, is_of_a_drill};
use super::host::{Renewal, TICK};
use super::network::Message;
use super::world::{COPIES, VOTERS, World, cluster, lease_name, node, plan_name};
use crate::lease::Lease;
use crate::name::ClusterName;

/// How long the voters are without a leader after theirs is gone, in ticks.
const ELECTION_TICKS: u32 = 30;
/// Since when the simulation's clock runs, in seconds since 1970.
const BEGAN_UNIX_S: u64 = 1_000_000;

impl World {
    /// By the clock of whoever leads.
    fn now(&self) -> Duration {
        match self.leader {
            Some(leader) => self.clock(leader).now(),
            None => TICK * self.tick,
        }
    }

    pub(super) fn now_unix_s(&self) -> u64 {
        BEGAN_UNIX_S + u64::from(self.tick / 10)
    }

    pub(super) fn hear_renewal(&mut self, from: usize, renewal: Renewal) {
        let (name, now) = (lease_name(), self.now());
        let held = self.lease.as_ref().filter(|_| !self.is_to_end());
        let epoch = renewal.epoch;
        let answer = self
            .book
            .renew((&name, epoch), held, &node(from), (self.term, now));
        if let (Ok(_), Some(offset_bytes)) = (&answer, renewal.offset_bytes) {
            let position = Position {
                branch: epoch,
                offset_bytes,
            };
            let copy = (&cluster(from), &node(from));
            self.lookout.renewed(&plan_name(), copy, position, now);
        }
        // The answer may be lost on its way; then it counts for the leader and not for the guard.
        if let Some(leader) = self.leader.filter(|_| !self.once_in(10)) {
            let answer = Message::Renewed {
                epoch,
                sent: renewal.sent,
                ttl: answer.ok(),
            };
            self.send(leader, from, answer);
        }
    }

    /// As voters refuse it: nobody renews a lease whose end was asked for, or whose holder is fenced by
    /// somebody's word.
    fn is_to_end(&self) -> bool {
        let (record, terms) = (&self.record, &self.terms);
        let Some((run, primary)) = record.run.as_ref().zip(record.primary.as_ref()) else {
            return false;
        };
        let may_end = record.fences_itself || terms.fenced_outside.contains(primary);
        let is_asked = run.asked || run.failed.contains(primary);
        run.phase == Phase::Fencing && (run.fence_confirmed || (may_end && is_asked))
    }

    pub(super) fn hear_report(&mut self, from: usize, copy: CopySight) {
        let now = self.now();
        let place = (&cluster(from), &node(from));
        self.lookout.heard(&plan_name(), place, copy, now);
    }

    pub(super) fn hear_of_drill(&mut self, from: usize, drill: DrillSight) {
        self.lookout.drilled(&plan_name(), &node(from), Some(drill));
    }

    pub(super) fn take_back(&mut self, from: usize, epoch: u64) {
        let is_it = |lease: &mut Lease| lease.holder == node(from) && lease.epoch == epoch;
        if self.lease.take_if(is_it).is_some() {
            self.revision += 1;
            self.tell(format!("c{from} gives the lease {epoch} back"));
        }
    }

    /// What a host is told of its copy, and what it answers.
    pub(super) fn hear_duty(
        &mut self,
        number: usize,
        (revision, duty): (u64, Duty),
        drill: Option<u64>,
    ) {
        let host = &mut self.hosts[number];
        // What is older is not taken back.
        if revision < host.disk.duty.0 {
            return;
        }
        host.hear(revision, duty);
        host.hear_drill(drill);
        let drill = host.drill_sight();
        let releases = host.releases.take();
        let Some(leader) = self.leader else {
            return;
        };
        if let Some(drill) = drill {
            self.send(number, leader, Message::Drilled(drill));
        }
        if let Some(epoch) = releases {
            self.send(number, leader, Message::Release(epoch));
        }
    }

    pub(super) fn lead(&mut self) {
        self.waits_for = None;
        let Some(leader) = self.leader.filter(|leader| self.has_majority(*leader)) else {
            self.leader = None;
            self.elect();
            return;
        };
        for number in 0..COPIES {
            self.converse(number, leader);
        }
        let sight = self.sight();
        match next(&self.terms, &self.record, &sight) {
            Next::Rest => self.last_wait = None,
            Next::Wait(why) => {
                self.waits_for = Some(why.clone());
                if self.last_wait.as_ref() != Some(&why) {
                    self.held_as_stale += u32::from(why.contains("may have written since"));
                    self.last_wait = Some(why.clone());
                    self.tell(format!("waits: {why}"));
                }
            }
            Next::FenceOutside(site) => self.fence_outside(&site),
            Next::Commit(change) => self.commit(&change),
        }
    }

    fn elect(&mut self) {
        self.election = self.election.saturating_sub(1);
        if self.election > 0 {
            return;
        }
        let first = match self.favourite {
            Some(favourite) => favourite,
            None => self.random.pick(VOTERS),
        };
        let able = (0..VOTERS)
            .map(|n| (n + first) % VOTERS)
            .find(|n| self.has_majority(*n));
        let Some(leader) = able else {
            return;
        };
        self.term += 1;
        self.leader = Some(leader);
        self.election = ELECTION_TICKS;
        self.book.begin(self.term, self.now(), self.revision);
        self.lookout = Lookout::default();
        self.tell(format!("{leader} leads"));
        self.look();
    }

    /// A host tells how it is and is told what to be. Either takes its time.
    fn converse(&mut self, number: usize, leader: usize) {
        if self.hosts[number].is_awake() && !self.once_in(2) {
            let copy = self.hosts[number].sight();
            self.send(number, leader, Message::Report(copy));
        }
        if !self.once_in(2) {
            let site = cluster(number);
            let drill = self.record.drill.as_ref();
            let drill = drill.filter(|drill| drill.cluster == site);
            let told = Message::Duty {
                revision: self.revision,
                duty: duty(&self.terms, &self.record, &site),
                drill: drill.map(|drill| drill.number),
            };
            self.send(leader, number, told);
        }
    }

    /// Whoever runs the machine stops it, unless that fails this time.
    fn fence_outside(&mut self, site: &ClusterName) {
        if self.once_in(3) {
            return;
        }
        self.tell(format!("{site} is fenced from outside"));
        let run = self.record.run.as_ref().map_or(0, |run| run.began_revision);
        let of = (run, self.terms.revision);
        let now = self.now();
        self.lookout.fenced(&plan_name(), of, now);
        let host = (0..COPIES).find(|number| cluster(*number) == *site);
        self.power_off(host.unwrap());
    }

    pub(super) fn sight(&mut self) -> Sight {
        let (name, now) = (lease_name(), self.now());
        let at = (self.term, now);
        let lease = match &self.lease {
            None => LeaseSight::Free,
            Some(lease) => LeaseSight::Held {
                holder: lease.holder.clone(),
                epoch: lease.epoch,
                silent_for: self.book.silent_for(&name, lease, at),
                has_ended: self.book.has_ended(&name, lease, at),
            },
        };
        let circumstances = Circumstances {
            lease,
            redirected: !self.once_in(3),
            now_unix_s: self.now_unix_s(),
            quorum_trouble: self.quorum_trouble.clone(),
        };
        let plan = (&plan_name(), &self.terms);
        self.lookout.sight(plan, &self.record, circumstances, now)
    }

    /// The leader knows from now on when the latest step was committed.
    fn look(&mut self) {
        self.sight();
    }

    pub(super) fn commit(&mut self, change: &PlanChange) {
        self.revision += 1;
        if let PlanChange::Promoted {
            cluster: to,
            lost_bytes,
            ..
        } = change
        {
            self.grant(to);
            self.check_promotion(to, *lost_bytes);
        }
        if !change.is_mark() {
            self.tell(change.to_string());
        }
        let former = is_of_a_drill(change).then(|| all_but_drills(&self.record));
        let now_unix_s = self.now_unix_s();
        self.record.apply(change, (self.revision, now_unix_s));
        if let Some(former) = former {
            assert_eq!(former, all_but_drills(&self.record), "{}", self.story());
        }
        self.look();
    }

    /// The lease goes to whoever is promoted, with the same entry.
    fn grant(&mut self, to: &ClusterName) {
        let (name, now) = (lease_name(), self.now());
        let run = self.record.run.as_ref();
        let is_confirmed = run.is_some_and(|run| run.fence_confirmed);
        let taken = self.book.take(&name, self.lease.as_ref(), (self.term, now));
        assert!(taken.is_ok() || is_confirmed, "{}", self.story());
        let ttl = self.terms.timings.lease_ttl.value();
        self.lease = Some(Lease {
            holder: self.record.nodes[to].clone(),
            epoch: self.revision,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap(),
            ttl_max_ms: 0,
        });
        self.book.granted(name, self.revision, (self.term, now));
    }
}
