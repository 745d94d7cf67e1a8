//! What copies told, as far as a choice among them rests on it; and what is known of how far the primary
//! wrote before it could write no more.
//!
//! Where its guard stops it at the end of its lease, it wrote for no longer than that after it was heard
//! last. Where nothing stops it, it may have written for hours since: what was known of it then says
//! nothing of what would be lost (rule 8). Then the primary alone can tell: after it stopped, or until it
//! was fenced.

use std::time::Duration;

use super::choose::Candidate;
use super::position::Mark;
use super::record::{PlanRecord, Run};
use super::sight::{CopySight, LeaseSight, Sight, Terms};
use super::timings::ELECTION;
use crate::lease::ends_after;
use crate::name::ClusterName;

/// How long standbys that are there are waited for, where any of them may be promoted.
const ANSWERS_MAX: Duration = Duration::from_secs(2);

/// The last that is known of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// How far it was, at least.
    pub(super) mark: Mark,
    /// How old the record of that was when the run began to fence, in seconds, if the primary may have
    /// written on for longer than the plan's timings allow; none: it has not.
    pub(super) stale_s: Option<u64>,
}

/// A standby that is there, has not answered yet, and may have more than whoever was chosen: it is
/// waited for a little, unless the log says who has everything.
pub(super) fn awaited<'a>(
    terms: &Terms,
    record: &'a PlanRecord,
    sight: &Sight,
    run: &Run,
) -> Option<&'a ClusterName> {
    if !record.set.is_empty() || sight.step_for >= ANSWERS_MAX {
        return None;
    }
    let is_awaited = |copy: &CopySight| {
        copy.role.is_whole() && copy.ago < terms.timings.lately() && !has_answered(run, copy)
    };
    let mut standbys = record.standbys().map(|(cluster, _)| cluster);
    standbys.find(|cluster| sight.copies.get(*cluster).is_some_and(is_awaited))
}

/// Whether a copy cut its connection for this run: what it told since stays true, even if it is gone.
fn has_answered(run: &Run, copy: &CopySight) -> bool {
    copy.barrier >= run.began_revision && copy.is_detached()
}

/// Everybody with a copy, the primary's own among them, in the plan's order; whoever was tried in
/// this run comes last.
pub(super) fn candidates(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    run: &Run,
) -> Vec<Candidate> {
    let (tried, others): (Vec<_>, Vec<_>) = terms
        .sites()
        .filter(|cluster| record.nodes.contains_key(*cluster))
        .partition(|cluster| run.failed.contains(cluster));
    let candidate = |cluster: &ClusterName| {
        let copy = sight.copies.get(cluster);
        let answer = copy.filter(|copy| has_answered(run, copy));
        let silent = |copy: &CopySight| {
            let is_silent = copy.ago >= terms.timings.silence_max();
            is_silent.then(|| "it is silent".to_owned())
        };
        // What it may have received beyond what it knows to have, it may have acknowledged.
        let is_certain = |copy: &&CopySight| {
            let branch = copy.position.map_or(0, |position| position.branch);
            record.set.is_empty() || copy.received_epoch <= branch
        };
        let answer = answer.filter(is_certain);
        Candidate {
            cluster: cluster.clone(),
            position: answer.and_then(|copy| copy.position),
            unfit: copy.and_then(|copy| copy.trouble.clone().or_else(|| silent(copy))),
        }
    };
    others.into_iter().chain(tried).map(candidate).collect()
}

/// The last that is known of the primary, by everything that was heard of it; none: nothing is.
pub(super) fn known(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (run, candidates): (&Run, &[Candidate]),
) -> Option<Known> {
    let (primary, mut mark) = (record.primary.as_ref()?, record.mark?);
    let branch = mark.position.branch;
    let heard = sight.copies.get(primary);
    let heard = heard.and_then(|copy| Some((copy.ago, copy.position?)));
    let heard = heard.filter(|(_, position)| position.branch == branch);
    let stopped_at = run.last_position.filter(|last| last.branch == branch);
    let told = heard.map(|(_, position)| position).max(stopped_at);
    mark.position = mark.position.max(told.unwrap_or_default());

    let is_stopped_by_lease = record.fences_itself && terms.is_guarded;
    // It told so after it had stopped, and goes on for nobody but a later revision.
    let has_stopped = stopped_at.is_some() && sight.lease == LeaseSight::Free;
    let is_its_answer = |one: &Candidate| one.cluster == *primary && one.position.is_some();
    let is_last = has_stopped || candidates.iter().any(is_its_answer);

    let marked_ago = Duration::from_secs(sight.now_unix_s.saturating_sub(mark.at_unix_s));
    let told_ago = heard.map_or(marked_ago, |(ago, _)| ago.min(marked_ago));
    let wrote_on_for = told_ago.saturating_sub(fenced_ago(sight, run));
    let is_bounded = is_stopped_by_lease || is_last || wrote_on_for <= untold_max(terms);
    Some(Known {
        mark,
        stale_s: (!is_bounded).then(|| run.step_unix_s.saturating_sub(mark.at_unix_s)),
    })
}

/// For how long, at least, the primary can't have written, by somebody's word or a fence from outside.
fn fenced_ago(sight: &Sight, run: &Run) -> Duration {
    // Whatever was committed last came with that word, or after it.
    let confirmed_ago = run.fence_confirmed.then_some(sight.step_for);
    confirmed_ago.max(sight.fenced_outside).unwrap_or_default()
}

/// For how long a primary may have written since it was heard last, so that what it told then counts:
/// no longer than one that its lease stops, even if the voters' leader died with it.
pub(super) fn untold_max(terms: &Terms) -> Duration {
    let timings = &terms.timings;
    let dead_after = timings
        .silence_max()
        .max(ends_after(timings.lease_ttl.value()));
    [dead_after, timings.lately()]
        .into_iter()
        .fold(ELECTION, Duration::saturating_add)
}

#[cfg(test)]
mod tests;
