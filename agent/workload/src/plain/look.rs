//! What is seen of a plain copy in one turn, and what is told of it.

use std::time::Instant;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::CopyRole;
use hanse_guard::LetGo;

use super::beacon;
use super::decide::{Ordered, RunsOn, Scene, Step};
use super::keeper::{Here, Keeper};
use super::works::Works;
use crate::process::Run;
use crate::report::CopyReport;
use crate::seams::GuardError;

/// What is seen in one turn.
pub(super) struct Look {
    process: Run,
    ordered: Option<Ordered>,
    may_write_under: Option<u64>,
    is_lost: bool,
    is_announced: bool,
    is_due: bool,
    is_measured: bool,
    last_for: u64,
    /// What runs on from earlier plans, or why nobody can tell.
    pub(super) runs_on: Result<Vec<LetGo>, GuardError>,
}

impl Look {
    pub(super) fn scene<'a, W: Works>(&self, at: &'a Here<W>) -> Scene<'a> {
        Scene {
            duty: &at.plan.duty,
            is_home: at.plan.is_home,
            memory: at.kept.get(),
            process: self.process.clone(),
            ordered: self.ordered,
            may_write_under: self.may_write_under,
            is_lost: self.is_lost,
            has_writer: at.works.writer().is_some(),
            is_announced: self.is_announced,
            is_due: self.is_due,
            is_measured: self.is_measured,
            last_for: self.last_for,
            runs_on: match &self.runs_on {
                Ok(all) => all
                    .first()
                    .map_or(RunsOn::Nothing, |first| RunsOn::Process(first.pid())),
                Err(error) => RunsOn::Unknown(error.to_string()),
            },
        }
    }
}

impl<W: Works> Keeper<W> {
    pub(super) fn look(&self, at: &Here<W>) -> Look {
        let status = self.desk.guard.status().borrow().clone();
        let serial = self.ordered.as_ref().map_or(0, |(_, _, serial)| *serial);
        let ordered = self.ordered.as_ref().and_then(|(ordered, order, _)| {
            let again = self.order_for(at, *ordered).ok()?;
            (again == *order).then_some(*ordered)
        });
        let is_lost = status.as_ref().is_some_and(|status| {
            let is_this = status.epoch == Some(at.kept.get().epoch);
            status.is_lost && is_this
        });
        Look {
            process: Run::told(status.as_ref(), serial),
            ordered,
            may_write_under: status
                .filter(|status| status.may_write && !status.is_lost)
                .and_then(|status| status.epoch),
            is_lost,
            is_announced: beacon::path(&self.setup).exists(),
            is_due: Instant::now() >= self.due,
            is_measured: self.is_measured,
            last_for: self.last_for,
            runs_on: self.desk.guard.let_go(&self.setup.log),
        }
    }

    /// What is told of the copy.
    pub(super) fn report_of(&self, at: &Here<W>, look: &Look, step: &Step) -> CopyReport {
        let memory = at.kept.get();
        let position = (memory.is_whole && self.is_measured).then_some(Position {
            branch: memory.branch,
            offset_bytes: memory.offset_bytes,
        });
        let failed = self.failed.as_ref().map(|(_, trouble)| trouble.to_string());
        let (trouble, progress) = match step {
            Step::Trouble(trouble) => (Some(trouble.clone()), None),
            Step::Wait(why) => (failed, Some(why.clone())),
            _ => (failed, None),
        };
        CopyReport {
            role: role(at, look),
            revision: self.obeyed,
            barrier: memory.barrier,
            epoch: memory.epoch,
            // Without a program of its own it is the fence from outside, without which no plan has it.
            fences_itself: memory.may_write
                && memory.fences_itself
                && !matches!(look.process, Run::Unknown(_)),
            position,
            received_epoch: memory.branch.max(memory.follows),
            set: SyncSet::default(),
            trouble,
            progress,
            lag_s: None,
            warnings: Vec::new(),
            backup: None,
        }
    }
}

fn role<W: Works>(at: &Here<W>, look: &Look) -> CopyRole {
    let memory = at.kept.get();
    let runs = look.process == Run::Running;
    let is_promoted = memory.may_write && memory.promoted == memory.epoch;
    if look.is_announced && is_promoted && runs {
        return CopyRole::Primary;
    }
    match (&at.plan.duty, memory.is_whole) {
        (Duty::Follow { .. }, false) => CopyRole::Seeding,
        (_, false) => CopyRole::Absent,
        // Until it was demoted, it may be written to.
        (Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. }, true)
            if memory.may_write =>
        {
            CopyRole::Primary
        }
        (Duty::Follow { .. }, true) => CopyRole::Following,
        (Duty::Detach { barrier }, true) => match memory.barrier >= *barrier {
            true => CopyRole::Detached,
            false => CopyRole::Following,
        },
        (Duty::Stop { .. } | Duty::Wait | Duty::Lead { .. }, true) => CopyRole::Stopped,
    }
}
