//! Drills: on a standby an isolated copy is promoted and verified, so that a plan is proved before it
//! is needed.
//!
//! What is committed of them stands here, and when one begins and ends. A drill never changes who
//! leads or follows: a run that begins takes it away with its very entry, and nothing waits for one.

mod report;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::Refused;
use super::change::PlanChange;
use super::machine::death;
use super::record::PlanRecord;
use super::schedule::Schedule;
use super::sight::{CopySight, Sight, Terms};
use crate::name::{ClusterName, NodeName};
use crate::object::words;

pub use self::report::{
    CheckOutcome, CheckResult, DrillReport, MeasuredRpo, MeasuredRto, REPORT_LENGTH_MAX,
    SignedReport,
};

/// How many drills are remembered of a plan.
pub const DRILLS_MAX: usize = 20;
/// One that was due may begin so much later, if nobody could see to it in time.
const LATE_MAX: Duration = Duration::from_secs(3600);
/// A drill's node may be silent for so long.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A drill's node ends it at its timeout by itself, and may take so long to say so.
const GRACE: Duration = Duration::from_secs(60);

words! {
    /// How a drill ended.
    DrillOutcome {
        /// Everything that was to be verified is as it should be.
        Passed = "passed",
        /// Something was not.
        Failed = "failed",
        /// It was given up before it could tell: something more important happened.
        Abandoned = "abandoned",
    }
}

/// What a plan asks of its drills, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillTerms {
    /// When they begin by themselves; none: when somebody asks.
    pub schedule: Option<Schedule>,
    /// How long one may take.
    pub timeout: Duration,
}

/// A drill that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Which one of the plan.
    pub number: u64,
    /// Where.
    pub cluster: ClusterName,
    /// On which node.
    pub node: NodeName,
    /// The revision at which it began.
    pub began_revision: u64,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// Why, in one sentence, and who asked for it.
    pub reason: String,
    /// How many bytes the standby lacked then, as far as was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
}

/// A drill that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDrill {
    /// Which one of the plan.
    pub number: u64,
    /// Where.
    pub cluster: ClusterName,
    /// On which node.
    pub node: NodeName,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// When it ended, in seconds since 1970.
    pub ended_unix_s: u64,
    /// Why it began, in one sentence.
    pub reason: String,
    /// How it ended.
    pub outcome: DrillOutcome,
    /// Why it did not pass, in one sentence; empty: it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// What its node reports, signed; none: it could report nothing, and this is the leader's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<SignedReport>,
}

/// What the node of a drill told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillSight {
    /// Which drill.
    pub number: u64,
    /// How far it is, in words.
    pub progress: String,
    /// How it ended; none: it goes on.
    pub end: Option<DrillEnd>,
}

/// How a drill ended, by its node's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillEnd {
    /// How.
    pub outcome: DrillOutcome,
    /// Why it did not pass; empty: it did.
    pub trouble: String,
    /// All of it; none: there is no word of the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<SignedReport>,
}

impl Drill {
    /// What is remembered of it.
    #[must_use]
    pub fn ended(self, ended_unix_s: u64, end: DrillEnd) -> PastDrill {
        PastDrill {
            number: self.number,
            cluster: self.cluster,
            node: self.node,
            began_unix_s: self.began_unix_s,
            ended_unix_s,
            reason: self.reason,
            outcome: end.outcome,
            trouble: end.trouble,
            report: end.report,
        }
    }
}

/// The drill that somebody asks for, or why there is none now; `on`: the only site that will do.
///
/// # Errors
///
/// It is refused.
pub fn admit(
    terms: &Terms,
    record: &PlanRecord,
    sight: &Sight,
    (on, reason): (Option<&ClusterName>, String),
) -> Result<PlanChange, Refused> {
    if let Some(holder) = &record.held {
        return Err(Refused::Held(holder.clone()));
    }
    if let Some(run) = &record.run {
        let (kind, phase) = (run.kind, run.phase);
        return Err(Refused::Running { kind, phase });
    }
    if let Some(drill) = &record.drill {
        return Err(Refused::Drilling {
            number: drill.number,
            cluster: drill.cluster.clone(),
        });
    }
    let primary = super::ask::check_site(terms, record, on)?;
    if let Some(death) = death(terms, record, sight, primary) {
        return Err(Refused::NoDrill(death));
    }
    let (cluster, node) = match on {
        Some(cluster) => {
            let node = fit(terms, record, sight, cluster).map_err(|reason| Refused::NotReady {
                cluster: cluster.clone(),
                reason,
            })?;
            (cluster, node)
        }
        None => last_fit(terms, record, sight, primary)?,
    };
    Ok(PlanChange::DrillBegun {
        number: record.drills_begun + 1,
        cluster: cluster.clone(),
        node: node.clone(),
        lag_bytes: sight.lag_bytes(cluster, primary),
        reason,
    })
}

/// The healthy standby that would be promoted last, so that the first one is not burdened.
fn last_fit<'a>(
    terms: &'a Terms,
    record: &'a PlanRecord,
    sight: &Sight,
    primary: &ClusterName,
) -> Result<(&'a ClusterName, &'a NodeName), Refused> {
    let mut reasons = Vec::new();
    let sites: Vec<_> = terms.sites().filter(|site| *site != primary).collect();
    for cluster in sites.into_iter().rev() {
        match fit(terms, record, sight, cluster) {
            Ok(node) => return Ok((cluster, node)),
            Err(reason) => reasons.push(format!("`{cluster}`: {reason}")),
        }
    }
    let reasons = reasons.join("; ");
    Err(Refused::NoDrill(format!("no standby is ready ({reasons})")))
}

/// The node of a standby that can hold a drill.
fn fit<'a>(
    terms: &Terms,
    record: &'a PlanRecord,
    sight: &Sight,
    cluster: &ClusterName,
) -> Result<&'a NodeName, String> {
    let node = record.nodes.get(cluster).ok_or("it has no node yet")?;
    let copy = sight.copies.get(cluster);
    let copy = copy.ok_or("nothing was heard of it yet")?;
    if copy.ago >= terms.timings.silence_max() {
        return Err(format!("it has been silent for {} s", copy.ago.as_secs()));
    }
    if let Some(trouble) = &copy.trouble {
        return Err(trouble.clone());
    }
    if !copy.follows() {
        return Err("it does not receive what the primary writes".to_owned());
    }
    Ok(node)
}

/// What is next of drills while no run is under way and the primary is well.
pub(super) fn next(terms: &Terms, record: &PlanRecord, sight: &Sight) -> Option<PlanChange> {
    if record.drill.is_some() {
        return end(terms, record, sight);
    }
    if !is_due(terms, record, sight.now_unix_s) || record.paused {
        return None;
    }
    let schedule = terms.drill.schedule.as_ref()?;
    let reason = format!("it is time for it: `{schedule}`");
    admit(terms, record, sight, (None, reason)).ok()
}

/// Whether the schedule has had a moment for which no drill began.
fn is_due(terms: &Terms, record: &PlanRecord, now_unix_s: u64) -> bool {
    let Some(schedule) = &terms.drill.schedule else {
        return false;
    };
    let last = record.drilled_unix_s;
    let after = last.max(now_unix_s.saturating_sub(LATE_MAX.as_secs()));
    schedule.has_moment(after, now_unix_s)
}

/// When the next drill begins by itself, in seconds since 1970; none: only if somebody asks.
#[must_use]
pub fn next_unix_s(terms: &Terms, record: &PlanRecord, now_unix_s: u64) -> Option<u64> {
    let last = record.drilled_unix_s;
    let after = last.max(now_unix_s.saturating_sub(LATE_MAX.as_secs()));
    terms.drill.schedule.as_ref()?.next_after(after)
}

/// The end of the drill that is under way; none: it goes on.
pub(super) fn end(terms: &Terms, record: &PlanRecord, sight: &Sight) -> Option<PlanChange> {
    let drill = record.drill.as_ref()?;
    let ended = |end: DrillEnd| {
        Some(PlanChange::DrillEnded {
            number: drill.number,
            end: Box::new(end),
        })
    };
    let failed = |trouble: String| {
        ended(DrillEnd {
            outcome: DrillOutcome::Failed,
            trouble,
            report: None,
        })
    };
    let told = sight.drill.as_ref();
    let told = told.filter(|told| told.number == drill.number);
    if let Some(end) = told.and_then(|told| told.end.clone()) {
        return ended(end);
    }
    let (cluster, node) = (&drill.cluster, &drill.node);
    if record.nodes.get(cluster) != Some(node) {
        return failed(format!("`{node}` has no copy of the plan any more"));
    }
    let copy = sight.copies.get(cluster);
    // A leader that began to lead just now has not heard anybody.
    let silent_for = copy.map_or(sight.step_for, |copy: &CopySight| copy.ago);
    if silent_for >= SILENCE_MAX {
        return failed(format!(
            "`{node}` has been silent for {} s; it cleans up by itself",
            silent_for.as_secs()
        ));
    }
    let since = Duration::from_secs(sight.now_unix_s.saturating_sub(drill.began_unix_s));
    if since >= terms.drill.timeout + GRACE {
        return failed(format!(
            "`{node}` told of no end within {} s",
            terms.drill.timeout.as_secs()
        ));
    }
    None
}

#[cfg(test)]
mod tests;
