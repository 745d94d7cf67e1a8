//! What is worth committing of a plan while all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use super::change::PlanChange;
use super::choose::SyncSet;
use super::position::Position;
use super::record::{Outcome, Phase, PlanRecord, RunKind};
use super::sight::{CopyRole, CopySight, PLANNED_LAG_BYTES_MAX, Sight, Terms};
use crate::name::ClusterName;
use crate::object::federation::ReplicationMode;

/// How long the primary stays where a run put it before it goes home by itself.
const FAILBACK_PAUSE: Duration = Duration::from_secs(60);
/// The same after a run that did not move it: the next would not either.
const FAILBACK_PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(600);

/// What is worth committing while a site is primary and no run is under way.
pub(super) fn note(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    primary: &ClusterName,
) -> Option<PlanChange> {
    let copy = sight.copies.get(primary)?;
    if copy.role != CopyRole::Primary || copy.epoch != record.epoch {
        return None;
    }
    fences(terms, record, copy)
        .or_else(|| whole(record, sight))
        .or_else(|| set(terms, record, sight, (primary, copy)))
        .or_else(|| mark(terms, record, sight, copy))
        .or_else(|| failback(terms, record, sight, primary))
}

/// Whether the end of the lease fences. That it does no more is known here before its guard hears it;
/// that it does, only once the guard said so since it was asked to.
fn fences(terms: &Terms, record: &PlanRecord, copy: &CopySight) -> Option<PlanChange> {
    let has_heard = copy.revision >= terms.revision;
    let fences_itself =
        terms.automatic_failover && (record.fences_itself || (has_heard && copy.fences_itself));
    (fences_itself != record.fences_itself).then_some(PlanChange::Fences(fences_itself))
}

/// A copy that is whole for the first time.
fn whole(record: &PlanRecord, sight: &Sight) -> Option<PlanChange> {
    let is_new = |cluster: &&ClusterName| {
        let follows = sight.copies.get(*cluster).is_some_and(CopySight::follows);
        follows && !record.whole.contains(*cluster)
    };
    let cluster = record.nodes.keys().find(is_new)?.clone();
    Some(PlanChange::Whole { cluster })
}

/// How far the primary is, once in a while, and by what it told lately: the mark says when that was.
fn mark(terms: &Terms, record: &PlanRecord, sight: &Sight, copy: &CopySight) -> Option<PlanChange> {
    let (position, mark) = (copy.position?, record.mark?);
    let since = Duration::from_secs(sight.now_unix_s.saturating_sub(mark.at_unix_s));
    let is_due = since >= terms.timings.check_interval.value();
    let is_fresh = copy.ago < terms.timings.lately();
    (is_due && is_fresh && position > mark.position).then_some(PlanChange::Marked { position })
}

/// The same while a run is under way in which the primary writes on: one that takes long must not leave
/// an old mark to the next leader.
pub(super) fn mark_in_run(terms: &Terms, record: &PlanRecord, sight: &Sight) -> Option<PlanChange> {
    let copy = sight.copies.get(record.primary.as_ref()?)?;
    let writes = copy.role == CopyRole::Primary && copy.epoch == record.epoch;
    let is_long = sight.step_for >= terms.timings.check_interval.value();
    mark(terms, record, sight, copy).filter(|_| writes && is_long)
}

/// The way home, where that needs nobody's word.
fn failback(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    primary: &ClusterName,
) -> Option<PlanChange> {
    let home = sight.copies.get(&terms.home)?;
    let is_due = terms.automatic_failback && !record.paused && *primary != terms.home;
    let lag_bytes = sight.lag_bytes(&terms.home, primary);
    let is_near = lag_bytes.is_some_and(|lag| lag <= PLANNED_LAG_BYTES_MAX);
    let is_over = record.past.as_ref().is_none_or(|past| {
        let since = Duration::from_secs(sight.now_unix_s.saturating_sub(past.ended_unix_s));
        since
            >= match past.outcome {
                Outcome::Moved => FAILBACK_PAUSE,
                Outcome::Recovered | Outcome::Cancelled | Outcome::RolledBack => {
                    FAILBACK_PAUSE_AFTER_FAILURE
                }
            }
    });
    (is_due && is_over && is_near && home.follows()).then(|| PlanChange::Begun {
        kind: RunKind::Failback,
        phase: Phase::Demoting,
        to: Some(terms.home.clone()),
        reason: format!("`{}` is back, and failback is automatic", terms.home),
        asked: false,
        allows_data_loss: false,
    })
}

/// What is to change in who must have each commit. What the log promises holds under what the
/// server has and under what it is about to get (rule 5).
fn set(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (primary, copy): (&ClusterName, &CopySight),
) -> Option<PlanChange> {
    let wanted = set_for(terms, record, sight, primary);
    if wanted != record.wanted_set {
        let promised = record.set.either(&wanted);
        return Some(PlanChange::Set { promised, wanted });
    }
    let is_true = has_it(record, copy) && have_what_was_before(sight, &wanted);
    (is_true && record.set != wanted).then(|| PlanChange::Set {
        promised: wanted.clone(),
        wanted,
    })
}

/// Whether the primary's server goes by who is to have each commit. What it told before it heard of
/// this one may be what it had an earlier time.
pub(super) fn has_it(record: &PlanRecord, copy: &CopySight) -> bool {
    copy.role == CopyRole::Primary
        && copy.epoch == record.epoch
        && copy.revision >= record.wanted_revision
        && copy.set == record.wanted_set
}

/// Whether k of the members have what was acknowledged before commits waited for them: else they would
/// be trusted with what they never got.
fn have_what_was_before(sight: &Sight, wanted: &SyncSet) -> bool {
    let has_all = |before| have_all_until(sight, wanted, before);
    wanted.is_empty() || sight.in_effect_at.is_some_and(has_all)
}

/// Whether k of the members have everything until a position.
pub(super) fn have_all_until(sight: &Sight, set: &SyncSet, until: Position) -> bool {
    let has = |cluster: &&ClusterName| {
        let copy = sight.copies.get(*cluster);
        let position = copy.and_then(|copy| copy.position);
        position.is_some_and(|position| {
            position.branch == until.branch && position.offset_bytes >= until.offset_bytes
        })
    };
    let holders = set.members.iter().filter(has).count();
    u32::try_from(holders).unwrap_or(u32::MAX) >= set.needed
}

/// Who must have each commit while a site is primary.
fn set_for(terms: &Terms, record: &PlanRecord, sight: &Sight, primary: &ClusterName) -> SyncSet {
    set_of(terms, record, (sight, CopySight::follows), primary)
}

/// Who must have each from the first commit of a site on that is about to become primary: whoever can
/// follow it. One that doesn't in the end is left out by another entry.
pub(super) fn first_set_for(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    primary: &ClusterName,
) -> SyncSet {
    let can_follow = |copy: &CopySight| copy.follows() || copy.is_able();
    set_of(terms, record, (sight, can_follow), primary)
}

fn set_of(
    terms: &Terms,
    record: &PlanRecord,
    (sight, is_fit): (&Sight, impl Fn(&CopySight) -> bool),
    primary: &ClusterName,
) -> SyncSet {
    let others = record.nodes.keys().filter(|cluster| *cluster != primary);
    let follows = |cluster: &&ClusterName| {
        let copy = sight.copies.get(*cluster);
        copy.is_some_and(|copy| copy.ago < terms.timings.silence_max() && is_fit(copy))
    };
    let was_whole = |cluster: &&ClusterName| record.whole.contains(*cluster);
    let members: BTreeSet<ClusterName> = match terms.mode {
        ReplicationMode::Async => BTreeSet::new(),
        ReplicationMode::SemiSync => others.filter(follows).cloned().collect(),
        ReplicationMode::Sync => others.filter(was_whole).cloned().collect(),
    };
    let present = u32::try_from(members.len()).unwrap_or(u32::MAX);
    match terms.mode {
        // It degrades, and this says so before its server does.
        ReplicationMode::SemiSync if present < terms.in_sync_min => SyncSet::default(),
        // Until as many copies were whole as are needed, those that were are all that there is.
        ReplicationMode::Async | ReplicationMode::SemiSync | ReplicationMode::Sync => SyncSet {
            needed: terms.in_sync_min.min(present),
            members,
        },
    }
}

#[cfg(test)]
mod tests;
