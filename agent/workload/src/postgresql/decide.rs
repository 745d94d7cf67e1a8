//! What a copy's keeper does next: one pure function of what it sees and what it remembers.
//!
//! Never: a server that could write without a lease; data that is copied over what is somebody else's;
//! a copy that counts as being on a branch before it has all that the branch began with.

use hanse_core::dr::duty::Duty;

use super::memory::{Memory, Pointed};
use crate::process::Run;

mod scene;

pub(crate) use scene::{Course, Data, Ordered, Scene, Seen, Source, Step};

/// What to do next.
pub(crate) fn decide(scene: &Scene<'_>) -> Step {
    if let Run::Unknown(why) = scene.process {
        return Step::Wait(why.to_owned());
    }
    match scene.duty {
        Duty::Wait => match scene.data {
            Data::None if scene.is_home && scene.memory.epoch == 0 => Step::Create,
            Data::None | Data::Whole { .. } => Step::Rest,
        },
        Duty::Lead { epoch, .. } => lead(scene, *epoch),
        Duty::Follow { primary, epoch } => follow(scene, primary.as_str(), *epoch),
        Duty::Detach { barrier } => detach(scene, *barrier),
        Duty::Stop { barrier } => stop(scene, *barrier),
    }
}

fn lead(scene: &Scene<'_>, epoch: u64) -> Step {
    let is_standby = match scene.data {
        Data::None => {
            return Step::Trouble(
                "this copy is to lead and has no data: bring the data directory back".to_owned(),
            );
        }
        Data::Whole { is_standby, .. } => is_standby,
    };
    if scene.memory.is_half_rewound {
        return Step::Trouble("this copy is to lead, and its data is not whole".to_owned());
    }
    if scene.runs_outside {
        return Step::StopOutside;
    }
    if let Run::GaveUp(reason) = &scene.process
        && scene.ordered == Some(Ordered::Primary { epoch })
    {
        return Step::Trouble(format!("the server does not stay up: {reason}"));
    }
    // Before the first write: who must have each commit.
    if !scene.is_configured {
        return Step::Configure;
    }
    let writes = scene.seen.is_some_and(|seen| seen.writes);
    let may_run_already = scene.process == Run::Running && !is_standby;
    let is_noted = scene.memory.epoch == epoch && scene.memory.branch == epoch;
    // What begins to write under this lease is on its branch from there on; what writes already
    // becomes so once the lease is here.
    if !is_noted && !may_run_already {
        return Step::NoteLead {
            epoch,
            is_promotion: is_standby,
        };
    }
    if scene.ordered != Some(Ordered::Primary { epoch }) {
        return Step::Order(Ordered::Primary { epoch });
    }
    if scene.may_write_under != Some(epoch) {
        return Step::Wait(format!("lease {epoch} is not here yet"));
    }
    match (scene.seen, writes) {
        (None, _) => Step::Wait("the server does not answer yet".to_owned()),
        (Some(_), false) => Step::Promote,
        (Some(_), true) if !is_noted => Step::NoteLead {
            epoch,
            is_promotion: false,
        },
        (Some(seen), true) if scene.memory.promotes => Step::NoteTimeline {
            timeline: seen.timeline,
        },
        (Some(_), true) if !scene.is_provided => Step::Provide,
        (Some(_), true) => Step::Rest,
    }
}

fn follow(scene: &Scene<'_>, primary: &str, epoch: u64) -> Step {
    if scene.runs_outside {
        return Step::Trouble(
            "a server runs on this data that the federation did not start: stop it".to_owned(),
        );
    }
    if let Some(step) = end_writer(scene) {
        return step;
    }
    let Data::Whole {
        system,
        is_standby,
        is_clean,
        timeline,
    } = scene.data
    else {
        return match (scene.process == Run::Stopped, scene.source) {
            (false, _) => still(scene),
            (true, None) => Step::Ask,
            (true, Some(_)) => Step::Seed,
        };
    };
    // One that was made anew under the same lease has to show first that it is whole.
    let is_known = scene.memory.branch == epoch && scene.memory.is_whole();
    let follows_already = is_known && is_standby && scene.is_configured;
    // One that is cut off connects now and then, and receives nothing.
    let receives = scene.seen.is_some_and(|seen| seen.receives) && scene.course != Course::CutOff;
    if follows_already && receives {
        return match scene.is_provided {
            true => Step::Rest,
            false => Step::Provide,
        };
    }
    let Some(source) = scene.source else {
        return Step::Ask;
    };
    if system != source.system {
        return Step::Trouble(format!(
            "the data directory has another database than `{primary}`: move it away, and it is \
             copied from there"
        ));
    }
    let fit = fit_now(scene, timeline, source);
    match (fit, scene.process == Run::Stopped) {
        (Fit::Follows, _) => {}
        // A server that stands still doesn't tell how far it is.
        (Fit::Rewind, false) if !scene.memory.may_diverge => return Step::NoteDiverges,
        (Fit::Rewind | Fit::Copy, false) => return still(scene),
        (Fit::Copy, true) => return Step::Seed,
        (Fit::Rewind, true) if !is_clean && !is_standby => return Step::Recover,
        // A standby can't be brought in order alone.
        (Fit::Rewind, true) if !is_clean => return Step::Seed,
        (Fit::Rewind, true) if source.noted_timeline != source.timeline => return Step::Ask,
        (Fit::Rewind, true) => return Step::Rewind,
    }
    if !is_standby {
        return match scene.process == Run::Stopped {
            true => Step::MarkStandby,
            false => still(scene),
        };
    }
    if scene.memory.lineage != source.lineage {
        return Step::NoteLineage;
    }
    // On the disk before anything can come from there.
    if scene.memory.received_epoch() < epoch {
        return Step::NotePointed(Pointed {
            epoch,
            timeline: source.timeline,
            offset_bytes: source.offset_bytes,
            timeline_min: match scene.memory.pointed {
                Some(pointed) => pointed.timeline_min.min(source.timeline),
                None => source.timeline,
            },
        });
    }
    if let Some(step) = run_standby(scene) {
        return step;
    }
    if let Course::Stands { place } = scene.course {
        return Step::AskLog { place };
    }
    arrive(scene, primary, (epoch, source))
}

/// A copy receives, and counts as being on the primary's branch once it has what that began with.
fn arrive(scene: &Scene<'_>, primary: &str, (epoch, source): (u64, &Source)) -> Step {
    match scene.seen {
        None => Step::Wait("the server does not answer yet".to_owned()),
        Some(seen)
            if seen.receives
                && seen.timeline == source.timeline
                && seen.offset_bytes >= source.offset_bytes =>
        {
            Step::NoteBranch { epoch }
        }
        Some(_) => Step::Wait(format!("it does not have yet what `{primary}` began with")),
    }
}

/// How a copy gets to where it can receive from a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// As it is.
    Follows,
    /// Once what the primary doesn't have is taken away.
    Rewind,
    /// Not at all: it is made anew.
    Copy,
}

/// How a copy gets there as things are. One that fits and can't go on by itself is made anew: it has
/// nothing that the primary doesn't have.
fn fit_now(scene: &Scene<'_>, timeline: u32, source: &Source) -> Fit {
    let offset_bytes = scene.seen.map(|seen| seen.offset_bytes);
    let fit = fit(scene.memory, timeline, offset_bytes, source);
    match (fit, scene.course) {
        (Fit::Follows, Course::CutOff) => Fit::Copy,
        (fit, Course::Open | Course::Stands { .. } | Course::CutOff) => fit,
    }
}

/// How a copy gets to where it can receive from a primary. `offset_bytes`: how far it is, if known.
pub(crate) fn fit(
    memory: &Memory,
    timeline: u32,
    offset_bytes: Option<u64>,
    source: &Source,
) -> Fit {
    if memory.is_half_rewound {
        return Fit::Copy;
    }
    // What PostgreSQL calls the same timeline may be two: whoever began it tells.
    if memory.lineage.get(&timeline) != source.lineage.get(&timeline) {
        return Fit::Copy;
    }
    if memory.may_diverge {
        // The same timeline has no fork to go back to.
        return match timeline == source.timeline {
            true => Fit::Copy,
            false => Fit::Rewind,
        };
    }
    if timeline == source.timeline {
        return Fit::Follows;
    }
    let fork = source.forks.iter().find(|(number, _)| *number == timeline);
    match (fork, offset_bytes) {
        (None, _) => Fit::Rewind,
        (Some((_, fork)), Some(offset)) if offset > *fork => Fit::Rewind,
        (Some(_), _) => Fit::Follows,
    }
}

fn detach(scene: &Scene<'_>, barrier: u64) -> Step {
    if scene.runs_outside {
        return Step::StopOutside;
    }
    if let Some(step) = end_writer(scene) {
        return step;
    }
    if scene.memory.barrier < barrier {
        return Step::NoteBarrier { barrier };
    }
    let Data::Whole {
        is_standby,
        is_clean,
        ..
    } = scene.data
    else {
        return Step::Rest;
    };
    if !is_standby {
        return match is_clean || scene.memory.is_half_rewound {
            true => Step::Rest,
            false => Step::Recover,
        };
    }
    // A server that stands still can't tell how far it is: what it received may lie behind what it
    // went through.
    if let Some(step) = run_standby(scene) {
        return step;
    }
    match scene.seen {
        Some(seen) if seen.is_settled => settle(scene.memory, &seen),
        Some(_) => Step::Wait("it goes through the last that it received".to_owned()),
        None => Step::Wait("the server does not answer yet".to_owned()),
    }
}

/// Which branch it is on after it was cut off from a primary, where its data tells.
fn settle(memory: &Memory, seen: &Seen) -> Step {
    match memory.pointed {
        Some(pointed)
            if seen.timeline == pointed.timeline && seen.offset_bytes >= pointed.offset_bytes =>
        {
            Step::NoteBranch {
                epoch: pointed.epoch,
            }
        }
        Some(pointed) if seen.log_timeline < pointed.timeline_min => Step::NoteUntouched,
        Some(_) | None => Step::Rest,
    }
}

fn stop(scene: &Scene<'_>, barrier: u64) -> Step {
    if scene.runs_outside {
        return Step::StopOutside;
    }
    let nothing = Ordered::Nothing { gives_back: true };
    if scene.ordered != Some(nothing) {
        return Step::Order(nothing);
    }
    match &scene.process {
        Run::Stopped | Run::GaveUp(_) => {}
        Run::Unknown(_) | Run::Running | Run::Stopping => {
            return Step::Wait("the server is stopping".to_owned());
        }
    }
    if let Data::Whole {
        is_clean: false,
        is_standby: false,
        ..
    } = scene.data
    {
        return Step::Recover;
    }
    match scene.memory.barrier < barrier {
        true => Step::NoteBarrier { barrier },
        false => Step::Rest,
    }
}

/// A standby runs as it is to; none: it does.
fn run_standby(scene: &Scene<'_>) -> Option<Step> {
    if !scene.is_configured {
        return Some(Step::Configure);
    }
    if scene.ordered != Some(Ordered::Standby) {
        return Some(Step::Order(Ordered::Standby));
    }
    if let Run::GaveUp(reason) = &scene.process {
        return Some(Step::Trouble(format!(
            "the server does not stay up: {reason}"
        )));
    }
    None
}

/// Whatever writes, or could, ends first: a standby too whose promotion may be under way still.
fn end_writer(scene: &Scene<'_>) -> Option<Step> {
    let is_standby = match scene.data {
        Data::None => false,
        Data::Whole { is_standby, .. } => is_standby,
    };
    let writes = scene.seen.is_some_and(|seen| seen.writes);
    let is_ordered = scene.ordered == Some(Ordered::Standby);
    let is_harmless = is_standby && !writes && (is_ordered || !scene.memory.may_diverge);
    match (&scene.process, scene.ordered) {
        (Run::Running | Run::Stopping, _) if is_harmless => None,
        (Run::Stopped | Run::GaveUp(_), Some(Ordered::Nothing { .. })) => None,
        (Run::Stopped | Run::GaveUp(_), Some(Ordered::Standby)) if is_standby => None,
        (_, Some(Ordered::Nothing { .. })) => Some(Step::Wait("the server is stopping".to_owned())),
        (_, Some(Ordered::Standby | Ordered::Primary { .. }) | None) => {
            Some(Step::Order(Ordered::Nothing { gives_back: false }))
        }
    }
}

/// What runs must end before something can be done with its data.
fn still(scene: &Scene<'_>) -> Step {
    match scene.ordered {
        Some(Ordered::Nothing { .. }) => match scene.process {
            Run::GaveUp(_) => Step::Trouble("the server ended and the guard gave up".to_owned()),
            Run::Unknown(_) | Run::Stopped | Run::Running | Run::Stopping => {
                Step::Wait("the server is stopping".to_owned())
            }
        },
        Some(Ordered::Standby | Ordered::Primary { .. }) | None => {
            Step::Order(Ordered::Nothing { gives_back: false })
        }
    }
}

#[cfg(test)]
mod tests;
