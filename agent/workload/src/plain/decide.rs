//! What the keeper of a plain copy does next: one pure function of what it sees and remembers.
//!
//! Never: a copy that is promoted before the lease is here; a lease that goes back, or a barrier that is
//! promised, before the copy was demoted; a demotion while what writes still runs.

use hanse_core::dr::duty::Duty;
use hanse_core::name::NodeName;

use super::memory::Memory;
use crate::process::Run;

/// What is seen of a copy at one moment.
#[derive(Debug, Clone)]
pub(super) struct Scene<'a> {
    pub(super) duty: &'a Duty,
    pub(super) is_home: bool,
    pub(super) memory: &'a Memory,
    pub(super) process: Run,
    /// What was ordered of the guard and is in effect; none: not known.
    pub(super) ordered: Option<Ordered>,
    /// The lease that the guard has and may write under, now.
    pub(super) may_write_under: Option<u64>,
    /// The lease of the order is another's.
    pub(super) is_lost: bool,
    /// The plan names what writes.
    pub(super) has_writer: bool,
    /// The beacon says that this copy is written to.
    pub(super) is_announced: bool,
    /// It is time to copy.
    pub(super) is_due: bool,
    /// How far it is was asked since that last changed.
    pub(super) is_measured: bool,
    /// For which run it tried to get the last.
    pub(super) last_for: u64,
    pub(super) runs_on: RunsOn,
}

/// What wrote here under an earlier plan, and was let go when that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunsOn {
    Nothing,
    Process(u32),
    /// Nobody can tell, and why.
    Unknown(String),
}

/// What is ordered of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordered {
    /// That nothing runs.
    Nothing { gives_back: bool },
    /// That the lease is held, and nothing writes that the guard knows of.
    Hold { epoch: u64 },
    /// That what writes runs under a lease.
    Write { epoch: u64 },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the duty is in effect.
    Rest,
    /// Nothing can be done before something else happens.
    Wait(String),
    /// Nothing can be done before somebody mends it.
    Trouble(String),
    /// Make what is missing where the workload begins.
    Prepare,
    Order(Ordered),
    /// It is written to under this lease, or is about to be.
    NoteLead {
        epoch: u64,
        fences_itself: bool,
    },
    /// End in good order what runs on from an earlier plan: two never write.
    EndEarlier,
    Promote,
    /// Say that it is written to.
    Announce,
    /// Say that it is not any more.
    Withdraw,
    /// Put what it has to where standbys get it.
    Publish,
    /// The same for the last time before it stops.
    PublishLast {
        barrier: u64,
    },
    Demote,
    NoteFollows {
        primary: NodeName,
        epoch: u64,
    },
    Receive,
    /// Receive the last there is, or go on without.
    ReceiveLast {
        barrier: u64,
    },
    /// Have nothing reach it any more, and promise so.
    Cut {
        barrier: u64,
    },
    NoteBarrier {
        barrier: u64,
    },
    Measure,
}

/// What to do next.
pub(super) fn decide(scene: &Scene<'_>) -> Step {
    if let Run::Unknown(why) = scene.process {
        return Step::Wait(why.to_owned());
    }
    match scene.duty {
        Duty::Wait => wait(scene),
        Duty::Lead {
            epoch,
            fences_itself,
            ..
        } => lead(scene, *epoch, *fences_itself),
        Duty::Follow { primary, epoch } => follow(scene, primary, *epoch),
        Duty::Detach { barrier } => detach(scene, *barrier),
        Duty::Stop { barrier } => stop(scene, *barrier),
    }
}

fn wait(scene: &Scene<'_>) -> Step {
    match (scene.memory.is_whole, scene.is_measured) {
        (false, _) if scene.is_home && scene.memory.epoch == 0 => Step::Prepare,
        (true, false) => Step::Measure,
        (false, _) | (true, true) => Step::Rest,
    }
}

fn lead(scene: &Scene<'_>, epoch: u64, fences_itself: bool) -> Step {
    let memory = scene.memory;
    if !memory.is_whole {
        return Step::Trouble("this copy is to lead and is not whole".to_owned());
    }
    if let Some(step) = end_earlier(scene) {
        return step;
    }
    let is_new = memory.epoch != epoch || !memory.may_write;
    if scene.is_lost && !is_new {
        return match scene.is_announced {
            true => Step::Withdraw,
            false => quiet(scene).unwrap_or(Step::Demote),
        };
    }
    if scene.is_lost && memory.epoch == epoch {
        return Step::Trouble(format!("lease {epoch} is another's"));
    }
    if is_new && scene.is_announced {
        return Step::Withdraw;
    }
    if is_new || memory.fences_itself != fences_itself {
        return Step::NoteLead {
            epoch,
            fences_itself,
        };
    }
    let is_promoted = memory.promoted == epoch;
    let wanted = match is_promoted && scene.has_writer {
        true => Ordered::Write { epoch },
        false => Ordered::Hold { epoch },
    };
    if scene.ordered != Some(wanted) {
        return Step::Order(wanted);
    }
    if let Run::GaveUp(reason) = &scene.process {
        return Step::Trouble(format!("what writes does not stay up: {reason}"));
    }
    if scene.may_write_under != Some(epoch) {
        return Step::Wait(format!("lease {epoch} is not here yet"));
    }
    match (is_promoted, scene.is_announced) {
        (false, _) => Step::Promote,
        (true, false) => Step::Announce,
        (true, true) if scene.is_due => Step::Publish,
        (true, true) => Step::Rest,
    }
}

fn follow(scene: &Scene<'_>, primary: &NodeName, epoch: u64) -> Step {
    match &scene.runs_on {
        RunsOn::Nothing => {}
        // It has clients, maybe, and what they wrote is to be given up: that is for somebody to say.
        RunsOn::Process(pid) => {
            return Step::Trouble(format!(
                "process {pid} wrote here under an earlier plan and runs on, so nothing is received: end \
                 it by `kill {pid}`"
            ));
        }
        RunsOn::Unknown(why) => return Step::Trouble(why.clone()),
    }
    if let Some(step) = end_writer(scene) {
        return step;
    }
    if scene.memory.follows != epoch || scene.memory.primary.as_ref() != Some(primary) {
        return Step::NoteFollows {
            primary: primary.clone(),
            epoch,
        };
    }
    match scene.is_due {
        true => Step::Receive,
        false => Step::Rest,
    }
}

fn detach(scene: &Scene<'_>, barrier: u64) -> Step {
    let was_writer = scene.memory.may_write;
    if let Some(step) = end_earlier(scene) {
        return step;
    }
    if let Some(step) = end_writer(scene) {
        return step;
    }
    if scene.memory.barrier < barrier {
        let receives = !was_writer && !scene.memory.may_diverge && scene.memory.follows > 0;
        return match receives && scene.last_for < barrier {
            true => Step::ReceiveLast { barrier },
            false => Step::Cut { barrier },
        };
    }
    match scene.is_measured || !scene.memory.is_whole {
        true => Step::Rest,
        false => Step::Measure,
    }
}

fn stop(scene: &Scene<'_>, barrier: u64) -> Step {
    let memory = scene.memory;
    if let Some(step) = end_earlier(scene) {
        return step;
    }
    if scene.is_announced {
        return Step::Withdraw;
    }
    if memory.may_write {
        // The lease is kept until what may write was demoted.
        let hold = Ordered::Hold {
            epoch: memory.epoch,
        };
        if scene.is_lost || scene.ordered == Some(Ordered::Nothing { gives_back: false }) {
            return quiet(scene).unwrap_or(Step::Demote);
        }
        if scene.ordered != Some(hold) {
            return Step::Order(hold);
        }
        if scene.process == Run::Stopping {
            return Step::Wait("what writes is stopping".to_owned());
        }
        return match scene.last_for < barrier {
            true => Step::PublishLast { barrier },
            false => Step::Demote,
        };
    }
    let nothing = Ordered::Nothing { gives_back: true };
    if scene.ordered != Some(nothing) {
        return Step::Order(nothing);
    }
    match &scene.process {
        Run::Stopped | Run::GaveUp(_) => {}
        Run::Unknown(_) | Run::Running | Run::Stopping => {
            return Step::Wait("the lease is going back".to_owned());
        }
    }
    if memory.barrier < barrier {
        return Step::NoteBarrier { barrier };
    }
    match scene.is_measured || !memory.is_whole {
        true => Step::Rest,
        false => Step::Measure,
    }
}

/// What runs on from an earlier plan ends before anything is done with its data.
fn end_earlier(scene: &Scene<'_>) -> Option<Step> {
    match &scene.runs_on {
        RunsOn::Nothing => None,
        RunsOn::Process(_) => Some(Step::EndEarlier),
        RunsOn::Unknown(why) => Some(Step::Trouble(why.clone())),
    }
}

/// Whatever writes, or could, ends first.
fn end_writer(scene: &Scene<'_>) -> Option<Step> {
    if scene.is_announced {
        return Some(Step::Withdraw);
    }
    quiet(scene).or_else(|| scene.memory.may_write.then_some(Step::Demote))
}

/// What is to be done until nothing runs under the guard; none: nothing does.
fn quiet(scene: &Scene<'_>) -> Option<Step> {
    match (scene.ordered, &scene.process) {
        (Some(Ordered::Nothing { .. }), Run::Stopped | Run::GaveUp(_)) => None,
        (Some(Ordered::Nothing { .. }), Run::Unknown(_) | Run::Running | Run::Stopping) => {
            Some(Step::Wait("what writes is stopping".to_owned()))
        }
        (Some(Ordered::Hold { .. } | Ordered::Write { .. }) | None, _) => {
            Some(Step::Order(Ordered::Nothing { gives_back: false }))
        }
    }
}

#[cfg(test)]
mod tests;
