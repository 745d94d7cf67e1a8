//! What the leader of the voters remembers of what copies and guards told it, in its own memory and by
//! its own clock: what a decision is made from, beside what is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::choose::SyncSet;
use super::drill::DrillSight;
use super::notes::has_it;
use super::position::Position;
use super::record::PlanRecord;
use super::sight::{CopyRole, CopySight, LeaseSight, Sight, Terms};
use crate::name::{ClusterName, NodeName, PlanName};

/// What the leader remembers. Moments are read off a clock of the leader's that never goes back.
#[derive(Debug, Default)]
pub struct Lookout {
    copies: BTreeMap<(PlanName, ClusterName), Told>,
    steps: BTreeMap<PlanName, (u64, Duration)>,
    /// What nodes told of drills, by whom.
    drills: BTreeMap<(PlanName, NodeName), DrillSight>,
    /// Where a primary was when it first told that a set is in effect, by the revision of that.
    in_effect: BTreeMap<PlanName, (u64, Position)>,
    /// The latest fence from outside.
    fenced: BTreeMap<PlanName, Fenced>,
}

/// A fence from outside. Whoever renewed its lease since runs again, and another declaration may mean
/// another machine.
#[derive(Debug, Clone, Copy)]
struct Fenced {
    /// The run that it was for.
    run: u64,
    /// The declaration by which it was done.
    spec_revision: u64,
    /// When it began: what was answered since was answered to a machine that went on, or began anew.
    at: Duration,
}

impl Fenced {
    fn counts(self, run: u64, spec_revision: u64, lease: &LeaseSight, now: Duration) -> bool {
        let is_same = run > 0 && (self.run, self.spec_revision) == (run, spec_revision);
        is_same
            && match lease {
                LeaseSight::Free => true,
                LeaseSight::Held { silent_for, .. } => *silent_for >= now.saturating_sub(self.at),
            }
    }
}

#[derive(Debug, Clone)]
struct Told {
    at: Duration,
    node: NodeName,
    copy: CopySight,
}

/// What the leader knows beside what was told.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Who has the plan's lease.
    pub lease: LeaseSight,
    /// Whether every reachable node leads clients to the primary.
    pub redirected: bool,
    /// What time it is, in seconds since 1970.
    pub now_unix_s: u64,
    /// Why nothing may be done by itself.
    pub quorum_trouble: Option<String>,
}

impl Lookout {
    /// A copy told of itself. What its node told before counts no more.
    pub fn heard(
        &mut self,
        plan: &PlanName,
        (cluster, node): (&ClusterName, &NodeName),
        copy: CopySight,
        now: Duration,
    ) {
        let told = Told {
            at: now,
            node: node.clone(),
            copy,
        };
        self.copies.insert((plan.clone(), cluster.clone()), told);
    }

    /// A node told of the drill that it has.
    pub fn drilled(&mut self, plan: &PlanName, node: &NodeName, drill: Option<DrillSight>) {
        let key = (plan.clone(), node.clone());
        match drill {
            Some(drill) => self.drills.insert(key, drill),
            None => self.drills.remove(&key),
        };
    }

    /// The guard of a primary told that it takes writes and how far it is, while it renewed its lease.
    /// The rest of what is known of the copy stays as it was told; where nothing was, its agent is away,
    /// and this is all that is known.
    pub fn renewed(
        &mut self,
        plan: &PlanName,
        (cluster, node): (&ClusterName, &NodeName),
        position: Position,
        now: Duration,
    ) {
        let key = (plan.clone(), cluster.clone());
        let is_same = |told: &Told| {
            let copy = &told.copy;
            told.node == *node && copy.role == CopyRole::Primary && copy.epoch == position.branch
        };
        match self.copies.get_mut(&key) {
            Some(told) if is_same(told) => {
                told.copy.position = told.copy.position.max(Some(position));
                told.at = now;
            }
            // What its agent told is of this lease, or of a later one.
            Some(told) if told.node == *node && told.copy.epoch >= position.branch => {}
            Some(_) | None => {
                let copy = CopySight {
                    ago: Duration::ZERO,
                    role: CopyRole::Primary,
                    revision: 0,
                    barrier: 0,
                    epoch: position.branch,
                    fences_itself: false,
                    position: Some(position),
                    received_epoch: position.branch,
                    set: SyncSet::default(),
                    trouble: None,
                };
                self.heard(plan, (cluster, node), copy, now);
            }
        }
    }

    /// The primary's site was fenced from outside for a run, by a declaration; that was done, and
    /// looked at, from a moment on.
    pub fn fenced(&mut self, plan: &PlanName, (run, spec_revision): (u64, u64), at: Duration) {
        let fenced = Fenced {
            run,
            spec_revision,
            at,
        };
        self.fenced.insert(plan.clone(), fenced);
    }

    /// Forgets what it was told of plans that are there no more.
    pub fn keep_only(&mut self, is_there: impl Fn(&PlanName) -> bool) {
        self.copies.retain(|(plan, _), _| is_there(plan));
        self.steps.retain(|plan, _| is_there(plan));
        self.drills.retain(|(plan, _), _| is_there(plan));
        self.fenced.retain(|plan, _| is_there(plan));
        self.in_effect.retain(|plan, _| is_there(plan));
    }

    /// What the leader sees of a plan now.
    pub fn sight(
        &mut self,
        (plan, terms): (&PlanName, &Terms),
        record: &PlanRecord,
        circumstances: Circumstances,
        now: Duration,
    ) -> Sight {
        let Circumstances {
            lease,
            redirected,
            now_unix_s,
            quorum_trouble,
        } = circumstances;
        let copies = record.nodes.iter().filter_map(|(cluster, node)| {
            let told = self.copies.get(&(plan.clone(), cluster.clone()))?;
            // What another node told of the site's copy is of another copy.
            (told.node == *node).then(|| {
                let ago = now.saturating_sub(told.at);
                (
                    cluster.clone(),
                    CopySight {
                        ago,
                        ..told.copy.clone()
                    },
                )
            })
        });
        let copies = copies.collect();
        let run = record.run.as_ref().map_or(0, |run| run.began_revision);
        let drill = record.drill.as_ref().and_then(|drill| {
            let told = self.drills.get(&(plan.clone(), drill.node.clone()));
            told.filter(|told| told.number == drill.number).cloned()
        });
        let fenced = self.fenced.get(plan);
        let fenced = fenced.filter(|fenced| fenced.counts(run, terms.revision, &lease, now));
        let fenced_outside = fenced.map(|fenced| now.saturating_sub(fenced.at));
        let is_heard = self.is_heard(plan, record, (terms, now));
        let in_effect_at = self.in_effect_at(plan, record);
        let step = self
            .steps
            .entry(plan.clone())
            .or_insert((record.revision, now));
        if step.0 != record.revision {
            *step = (record.revision, now);
        }
        Sight {
            lease,
            copies,
            in_effect_at,
            is_heard,
            fenced_outside,
            redirected,
            drill,
            now_unix_s,
            step_for: now.saturating_sub(step.1),
            quorum_trouble,
        }
    }

    fn in_effect_at(&mut self, plan: &PlanName, record: &PlanRecord) -> Option<Position> {
        let primary = record.primary.as_ref()?;
        let told = self.copies.get(&(plan.clone(), primary.clone()))?;
        let position = told.copy.position.filter(|_| has_it(record, &told.copy));
        let known = self.in_effect.get(plan);
        match (known, position) {
            (Some((revision, at)), _) if *revision == record.wanted_revision => Some(*at),
            (_, Some(position)) => {
                let first = (record.wanted_revision, position);
                self.in_effect.insert(plan.clone(), first);
                Some(position)
            }
            (_, None) => None,
        }
    }

    /// Whether the primary told lately that it leads.
    fn is_heard(
        &self,
        plan: &PlanName,
        record: &PlanRecord,
        (terms, now): (&Terms, Duration),
    ) -> bool {
        let primary = record.primary.as_ref();
        let told = primary.and_then(|primary| self.copies.get(&(plan.clone(), primary.clone())));
        told.is_some_and(|told| {
            let is_fresh = now.saturating_sub(told.at) < terms.timings.lately();
            is_fresh && told.copy.role == CopyRole::Primary && told.copy.epoch == record.epoch
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(silent_for_s: u64) -> LeaseSight {
        LeaseSight::Held {
            holder: "a-1".parse().unwrap(),
            epoch: 7,
            silent_for: Duration::from_secs(silent_for_s),
            has_ended: true,
        }
    }

    #[test]
    fn a_fence_counts_for_its_run_and_its_declaration_and_until_the_lease_is_renewed() {
        let fenced = Fenced {
            run: 3,
            spec_revision: 5,
            at: Duration::from_secs(100),
        };
        let counts = |run, spec_revision, lease: &LeaseSight| {
            fenced.counts(run, spec_revision, lease, Duration::from_secs(130))
        };
        assert!(counts(3, 5, &held(30)));
        assert!(counts(3, 5, &LeaseSight::Free));
        assert!(!counts(4, 5, &held(30)), "another run");
        assert!(!counts(0, 5, &held(30)), "no run");
        assert!(!counts(3, 6, &held(30)), "another declaration");
        assert!(!counts(3, 5, &held(29)), "it was renewed since");
    }
}
