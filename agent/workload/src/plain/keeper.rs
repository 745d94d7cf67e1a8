//! The keeper of one plain copy: looks, decides, takes one step, and tells.

use std::time::Instant;

use async_trait::async_trait;
use hanse_core::dr::duty::CopyPlan;
use hanse_guard::Order;

use super::decide::{Ordered, Step, decide};
use super::memory::Memory;
use super::works::Works;
use crate::keeper::{self, Desk, Pace};
use crate::memory::Kept;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// The keeper of one plain copy.
pub(crate) struct Keeper<W> {
    pub(super) setup: Setup,
    pub(super) desk: Desk,
    /// What was ordered of the guard, and the serial that it had.
    pub(super) ordered: Option<(Ordered, Order, u64)>,
    /// When it is copied again.
    pub(super) due: Instant,
    pub(super) is_measured: bool,
    pub(super) last_for: u64,
    /// What failed last and did not succeed since.
    pub(super) failed: Option<(Step, Trouble)>,
    pub(super) obeyed: u64,
    kept: Option<Kept<Memory>>,
    _works: std::marker::PhantomData<W>,
}

/// What a turn needs, all of it on this host.
pub(super) struct Here<W> {
    pub(super) revision: u64,
    pub(super) plan: CopyPlan,
    pub(super) kept: Kept<Memory>,
    pub(super) works: W,
}

impl<W: Works> Keeper<W> {
    pub(crate) fn new(setup: Setup, desk: Desk) -> Self {
        Self {
            setup,
            desk,
            ordered: None,
            due: Instant::now(),
            is_measured: false,
            last_for: 0,
            failed: None,
            obeyed: 0,
            kept: None,
            _works: std::marker::PhantomData,
        }
    }

    async fn step(&mut self, at: &mut Here<W>) -> Result<Pace, Trouble> {
        let look = self.look(at);
        let step = decide(&look.scene(at));
        if step == Step::Rest {
            self.obeyed = at.revision;
        }
        self.desk.tell(self.report_of(at, &look, &step));
        tracing::debug!(?step, "begins");
        let pace = match &step {
            Step::Rest => Pace::Calm,
            Step::Wait(_) => Pace::Soon,
            Step::Trouble(_) => Pace::Retry,
            step => match self.execute(at, &look, step).await {
                Ok(()) => {
                    self.failed.take_if(|(failed, _)| is_alike(failed, step));
                    Pace::Now
                }
                Err(trouble) => {
                    tracing::warn!(%trouble, "the copy is in trouble");
                    self.failed = Some((step.clone(), trouble));
                    Pace::Retry
                }
            },
        };
        tracing::debug!(?step, "done");
        Ok(pace)
    }
}

#[async_trait]
impl<W: Works> keeper::Keeper for Keeper<W> {
    async fn turn(&mut self, revision: u64, plan: CopyPlan) -> Result<Pace, Trouble> {
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => Kept::open(&self.setup.memory, &plan.plan, Memory::new)?,
        };
        let heard = kept.get().heard;
        if revision < heard {
            self.kept = Some(kept);
            return Ok(Pace::Calm);
        }
        if revision > heard {
            // What failed under another duty says nothing of this one, which is begun at once.
            self.failed = None;
            self.due = Instant::now();
        }
        let noted = kept.change(|memory| memory.heard = revision);
        let works = noted.and_then(|()| W::find(&self.setup, &plan));
        let works = works.and_then(|works| {
            let mut verdict = Ok(());
            kept.change(|memory| verdict = memory.take_for(&works.of()))?;
            verdict.map(|()| works).map_err(Trouble)
        });
        let works = match works {
            Ok(works) => works,
            Err(trouble) => {
                self.kept = Some(kept);
                return Err(trouble);
            }
        };
        let mut at = Here {
            revision,
            plan,
            kept,
            works,
        };
        let pace = self.step(&mut at).await;
        self.kept = Some(at.kept);
        pace
    }
}

/// Whether two steps are the same operation.
fn is_alike(one: &Step, other: &Step) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
