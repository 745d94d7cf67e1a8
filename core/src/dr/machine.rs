//! What happens next in a DR plan: one table over what is committed and what the leader sees.
//!
//! It proposes one change at a time. Every change is safe by itself and whatever crashes after it:
//! the next leader sees the same record and goes on from there. It never promotes anybody while
//! another may believe that it is primary, and never without knowing what would be lost.

use std::time::Duration;

use super::answers::{awaited, candidates, known};
use super::change::PlanChange;
use super::choose::{self, Demand};
use super::drill;
use super::notes::{first_set_for, have_all_until, mark_in_run, note};
use super::position::Position;
use super::record::{Outcome, Phase, PlanRecord, Run, RunKind};
use super::sight::{CopyRole, CopySight, LeaseSight, Sight, Terms};
use crate::name::ClusterName;

/// How long the old primary may take to stop in good order.
const DEMOTION_MAX: Duration = Duration::from_secs(30);
/// How long a standby may take to receive the last that a stopped primary wrote.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// How long a standby that was promoted, and is heard, may take to renew its lease for the first time.
const FIRST_RENEWAL_MAX: Duration = Duration::from_secs(10);
/// How long clients' way to the new primary may take to be moved everywhere.
const REDIRECT_MAX: Duration = Duration::from_secs(30);

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing is to be done, and all is well.
    Rest,
    /// To commit this.
    Commit(PlanChange),
    /// To fence the primary's site from outside, and to look again once that is confirmed.
    FenceOutside(ClusterName),
    /// Something is to happen and can't, for this reason.
    Wait(String),
}

/// What is next in a plan.
#[must_use]
pub fn next(terms: &Terms, record: &PlanRecord, sight: &Sight) -> Next {
    if let Some(holder) = &record.held {
        return Next::Wait(format!(
            "this federation was restored from a backup, and `{holder}` may be primary still: make \
             sure that it can't write, then run `hanse dr confirm-fenced`"
        ));
    }
    match (&record.run, &record.primary) {
        (None, None) => start(terms, record, sight),
        (None, Some(primary)) => watch(terms, record, sight, primary),
        (Some(run), _) => match run.phase {
            Phase::Demoting => demoting(terms, record, sight, run),
            Phase::Fencing => fencing(terms, record, sight, run),
            Phase::Promoting => promoting(terms, record, sight, run),
            Phase::Redirecting => redirecting(terms, record, sight, run),
        },
    }
}

/// Nobody was ever primary: the home's copy is the first.
fn start(terms: &Terms, record: &PlanRecord, sight: &Sight) -> Next {
    if !record.nodes.contains_key(&terms.home) {
        return Next::Wait(format!("`{}` has no node yet", terms.home));
    }
    match sight.copies.get(&terms.home) {
        Some(CopySight {
            trouble: Some(trouble),
            ..
        }) => Next::Wait(trouble.clone()),
        Some(copy) if copy.role.is_whole() => match has_more(record, sight, &terms.home, copy) {
            Some(other) => Next::Wait(format!(
                "`{other}` has data too, and may have more than `{home}`: move it away, or declare \
                 `{other}` as the home",
                home = terms.home
            )),
            None => begin(
                (RunKind::Start, Phase::Fencing),
                Some(&terms.home),
                "nobody was primary yet".to_owned(),
            ),
        },
        Some(_) | None => Next::Wait(format!("`{}` has no data yet", terms.home)),
    }
}

/// Another site whose data may be what the workload's users have: from here it would be overwritten.
fn has_more<'a>(
    record: &'a PlanRecord,
    sight: &Sight,
    home: &ClusterName,
    own: &CopySight,
) -> Option<&'a ClusterName> {
    record.nodes.keys().find(|cluster| {
        let copy = sight.copies.get(*cluster).filter(|_| *cluster != home);
        copy.is_some_and(|copy| {
            let is_ahead = copy.position > own.position;
            copy.role == CopyRole::Primary || (copy.role.is_whole() && is_ahead)
        })
    })
}

/// Somebody is primary and no run is under way.
fn watch(terms: &Terms, record: &PlanRecord, sight: &Sight, primary: &ClusterName) -> Next {
    let Some(death) = death(terms, record, sight, primary) else {
        let noted = note(terms, record, sight, primary);
        if let Some(change) = noted.or_else(|| drill::end(terms, record, sight)) {
            return Next::Commit(change);
        }
        // No drill begins meanwhile.
        if let Some(doubt) = doubt(terms, sight) {
            return Next::Wait(doubt);
        }
        return drill::next(terms, record, sight).map_or(Next::Rest, Next::Commit);
    };
    let refusal = if record.paused {
        Some("the plan is paused".to_owned())
    } else if !terms.automatic_failover {
        Some("automatic_failover is off: run `hanse failover`".to_owned())
    } else {
        sight.quorum_trouble.clone()
    };
    match refusal {
        // Whoever is dead, a drill ends.
        Some(refusal) => drill::end(terms, record, sight).map_or_else(
            || Next::Wait(format!("{death}, and nothing is done by itself: {refusal}")),
            Next::Commit,
        ),
        None => begin((RunKind::Failover, Phase::Fencing), None, death),
    }
}

/// Why the primary counts as dead; none: it doesn't. Two things tell, and neither does alone (rule 4):
/// its guard is silent, and its lease has ended, or its agent is silent too where that end stops nothing.
pub(super) fn death(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    primary: &ClusterName,
) -> Option<String> {
    match &sight.lease {
        LeaseSight::Free => Some(match sight.copies.get(primary) {
            Some(CopySight {
                trouble: Some(trouble),
                ..
            }) => format!("the primary in `{primary}` gave up: {trouble}"),
            Some(_) | None => format!("the primary in `{primary}` gave its lease back"),
        }),
        LeaseSight::Held {
            silent_for,
            has_ended,
            ..
        } => {
            let is_silent = *silent_for >= terms.timings.silence_max();
            // Whatever answers: once its lease has ended, its guard has stopped it, if it does that.
            let is_over = *has_ended && (record.fences_itself || !sight.is_heard);
            (is_silent && is_over)
                .then(|| format!("the primary in `{primary}` renews its lease no more"))
        }
    }
}

/// Why the primary may be dead.
fn doubt(terms: &Terms, sight: &Sight) -> Option<String> {
    let LeaseSight::Held {
        holder,
        silent_for,
        has_ended,
        ..
    } = &sight.lease
    else {
        return None;
    };
    let until = match has_ended {
        false => "it counts as dead once that has ended",
        true => "its agent is heard, so it is not taken for dead",
    };
    (*silent_for >= terms.timings.silence_max())
        .then(|| format!("`{holder}` renews its lease no more: {until}"))
}

/// The old primary is asked to stop in good order.
fn demoting(terms: &Terms, record: &PlanRecord, sight: &Sight, run: &Run) -> Next {
    let (Some(from), Some(to)) = (&run.from, &run.to) else {
        return end(Outcome::Cancelled);
    };
    let old = sight.copies.get(from);
    match &sight.lease {
        LeaseSight::Held {
            has_ended: true, ..
        } => fence(format!("`{from}` died while it stopped")),
        LeaseSight::Held { .. } if sight.step_for >= DEMOTION_MAX => end(Outcome::Cancelled),
        LeaseSight::Held { .. } => mark_in_run(terms, record, sight)
            .map_or_else(|| Next::Wait(format!("`{from}` is stopping")), Next::Commit),
        LeaseSight::Free => {
            // What it told before it was asked to stop is not the last.
            let is_last = |old: &&CopySight| {
                old.role == CopyRole::Stopped && old.barrier >= run.began_revision
            };
            let stopped = old.filter(is_last);
            match (run.last_position, stopped.and_then(|old| old.position)) {
                (None, Some(position)) => Next::Commit(PlanChange::Stopped { position }),
                (None, None) if sight.step_for >= DEMOTION_MAX => fence(format!(
                    "`{from}` stopped, and does not tell how far it was"
                )),
                (None, None) => Next::Wait(format!("`{from}` is to tell how far it was")),
                (Some(last), _) => hand_over(terms, record, sight, (from, to), last),
            }
        }
    }
}

/// The old primary has stopped: the other takes over once it has everything, or the old one again.
fn hand_over(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (from, to): (&ClusterName, &ClusterName),
    last: Position,
) -> Next {
    let has_all = |copy: &&CopySight| {
        copy.is_able() && copy.position.is_some_and(|position| position >= last)
    };
    if sight.copies.get(to).filter(has_all).is_some() {
        return promote(terms, record, sight, (to, last, Some(0)));
    }
    if sight.step_for < CATCH_UP_MAX {
        return Next::Wait(format!("`{to}` is to receive the last of `{from}`"));
    }
    match sight.copies.get(from).filter(has_all) {
        Some(_) => promote(terms, record, sight, (from, last, Some(0))),
        None => fence(format!(
            "`{to}` did not receive the last of `{from}`, which is not ready to go on either, \
             epoch {}",
            record.epoch
        )),
    }
}

/// The standbys refuse the old primary, whose end is awaited.
fn fencing(terms: &Terms, record: &PlanRecord, sight: &Sight, run: &Run) -> Next {
    if let (RunKind::Start, Some(home), LeaseSight::Free) = (run.kind, &run.to, &sight.lease) {
        // There is no other copy yet, and a server that runs there goes on.
        let position = sight.copies.get(home).and_then(|copy| copy.position);
        return promote(
            terms,
            record,
            sight,
            (home, position.unwrap_or_default(), None),
        );
    }
    if let Some(first) = unfenced(terms, record, sight, run) {
        return first;
    }
    let candidates = candidates(terms, record, sight, run);
    let known = known(terms, record, sight, (run, &candidates));
    let demand = Demand {
        set: &record.set,
        mark: known.as_ref().map(|known| &known.mark),
        stale_s: known.and_then(|known| known.stale_s),
        lag_bytes_max: terms.lag_bytes_max,
        allows_data_loss: run.allows_data_loss,
        only: run.to.as_ref(),
    };
    let choice = match choose::choose(&candidates, &demand) {
        Ok(choice) => choice,
        Err(refusal) => return Next::Wait(refusal.to_string()),
    };
    match awaited(terms, record, sight, run) {
        Some(other) => Next::Wait(format!("`{other}` is to tell how far it is")),
        None => promote(
            terms,
            record,
            sight,
            (&choice.cluster, choice.position, choice.lag_bytes),
        ),
    }
}

/// What comes before anybody is promoted while the old primary may write; none: it can't.
fn unfenced(terms: &Terms, record: &PlanRecord, sight: &Sight, run: &Run) -> Option<Next> {
    let LeaseSight::Held {
        holder,
        silent_for,
        has_ended,
        ..
    } = &sight.lease
    else {
        return None;
    };
    let is_outside = |it: &&ClusterName| terms.fenced_outside.contains(*it);
    let outside = record.primary.as_ref().filter(is_outside);
    // Where the end of a lease stops nobody, a machine that was stopped from outside does: one that
    // is declared so now, whatever was so when the record was written.
    let fences = (record.fences_itself && terms.is_guarded) || outside.is_some();
    let has_stopped = (*has_ended && fences) || run.fence_confirmed;
    let is_back = *silent_for < terms.timings.lately() && sight.is_heard;
    if is_back && !run.asked && !has_stopped {
        return Some(end(Outcome::Recovered));
    }
    if !has_stopped {
        let until = match fences {
            true => "until its lease ends",
            false => "until somebody runs `hanse dr confirm-fenced`",
        };
        return Some(Next::Wait(format!("`{holder}` may write {until}")));
    }
    let is_fenced = sight.fenced_outside.is_some() || run.fence_confirmed;
    let primary = outside.filter(|_| !is_fenced)?;
    Some(Next::FenceOutside(primary.clone()))
}

/// A standby has the lease, and is to become primary.
fn promoting(terms: &Terms, record: &PlanRecord, sight: &Sight, run: &Run) -> Next {
    let Some(to) = &record.primary else {
        return end(Outcome::Cancelled);
    };
    let copy = sight.copies.get(to);
    let writes =
        copy.is_some_and(|copy| copy.role == CopyRole::Primary && copy.epoch == record.epoch);
    // Whoever tells how it is may have a slow disk, and renews the lease once that has the promotion.
    let is_heard = copy.is_some_and(|copy| copy.ago < terms.timings.silence_max());
    let may_renew = is_heard && sight.step_for < FIRST_RENEWAL_MAX;
    let (holds, is_lost) = match &sight.lease {
        LeaseSight::Free => (false, true),
        LeaseSight::Held { has_ended, .. } => (!has_ended, *has_ended && !may_renew),
    };
    if writes && holds {
        return Next::Commit(PlanChange::Writes);
    }
    if is_lost || sight.step_for >= terms.timings.promotion_timeout.value() {
        return fence(format!("`{to}` did not become primary, after {}", run.kind));
    }
    Next::Wait(format!("`{to}` is becoming primary"))
}

/// The new primary takes writes.
fn redirecting(terms: &Terms, record: &PlanRecord, sight: &Sight, run: &Run) -> Next {
    if !sight.redirected && sight.step_for < REDIRECT_MAX {
        return mark_in_run(terms, record, sight).map_or_else(
            || Next::Wait("clients are being led to the new primary".to_owned()),
            Next::Commit,
        );
    }
    end(match (&run.from, run.kind) {
        (Some(from), _) if Some(from) == record.primary.as_ref() => Outcome::RolledBack,
        (Some(_) | None, _) => Outcome::Moved,
    })
}

fn begin((kind, phase): (RunKind, Phase), to: Option<&ClusterName>, reason: String) -> Next {
    Next::Commit(PlanChange::Begun {
        kind,
        phase,
        to: to.cloned(),
        reason,
        asked: false,
        allows_data_loss: false,
    })
}

fn promote(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (cluster, position, lost_bytes): (&ClusterName, Position, Option<u64>),
) -> Next {
    let set = first_set_for(terms, record, sight, cluster);
    Next::Commit(PlanChange::Promoted {
        // Those who are to have each commit from now on may lack what was acknowledged before.
        promised: match have_all_until(sight, &set, position) {
            true => set.clone(),
            false => record.set.either(&set),
        },
        cluster: cluster.clone(),
        position,
        lost_bytes,
        fences_itself: terms.automatic_failover,
        set,
        lease_ttl_ms: milliseconds(terms.timings.lease_ttl.value()),
    })
}

fn fence(reason: String) -> Next {
    Next::Commit(PlanChange::Fencing { reason })
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn end(outcome: Outcome) -> Next {
    Next::Commit(PlanChange::Ended { outcome })
}

#[cfg(test)]
pub(super) mod tests;
