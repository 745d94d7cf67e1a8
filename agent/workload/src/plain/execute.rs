//! Takes the steps. Nothing is decided here.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hanse_core::dr::duty::Duty;
use hanse_guard::{Order, Program, StopSignal};
use rustix::fs::{Mode, OFlags, openat};

use super::beacon::{self, Beacon};
use super::decide::{Ordered, Step};
use super::keeper::{Here, Keeper};
use super::look::Look;
use super::memory::Memory;
use super::works::{Situation, Works, Writer};
use crate::file::Owner;
use crate::folder;
use crate::seams;
use crate::terms::{lease, milliseconds, service};
use crate::trouble::Trouble;
use crate::user::User;

/// What could not be copied is tried again after that, at the latest.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// It holds a lease and does nothing else; as the first of its namespace it hears no signal.
const HOLDER: [&str; 2] = ["/bin/sleep", "infinity"];

impl<W: Works> Keeper<W> {
    pub(super) async fn execute(
        &mut self,
        at: &mut Here<W>,
        look: &Look,
        step: &Step,
    ) -> Result<(), Trouble> {
        match step {
            Step::Rest | Step::Wait(_) | Step::Trouble(_) => Ok(()),
            Step::Prepare => {
                at.works
                    .prepare(&situation(&at.plan, at.kept.get()))
                    .await?;
                at.kept.change(|memory| memory.is_whole = true)
            }
            Step::Order(ordered) => self.order(at, *ordered).await,
            Step::NoteLead {
                epoch,
                fences_itself,
            } => at.kept.change(|memory| {
                if memory.epoch != *epoch || !memory.may_write {
                    memory.promoted = 0;
                }
                (memory.epoch, memory.branch) = (*epoch, *epoch);
                memory.fences_itself = *fences_itself;
                (memory.may_write, memory.may_diverge) = (true, true);
            }),
            Step::EndEarlier => end_earlier(look).await,
            Step::Promote => self.promote(at).await,
            Step::Announce => self.announce(at),
            Step::Withdraw => beacon::put_out(&beacon::path(&self.setup)),
            Step::Publish => {
                let result = self.publish(at).await;
                self.next(at, result.is_ok());
                result?;
                self.announce(at)
            }
            Step::PublishLast { barrier } => {
                self.publish(at).await?;
                self.last_for = *barrier;
                Ok(())
            }
            Step::Demote => {
                at.works.demote(&situation(&at.plan, at.kept.get())).await?;
                self.is_measured = false;
                at.kept.change(|memory| {
                    memory.may_write = false;
                    memory.promoted = 0;
                })
            }
            Step::NoteFollows { primary, epoch } => at.kept.change(|memory| {
                memory.follows = *epoch;
                memory.primary = Some(primary.clone());
            }),
            Step::Receive => {
                let result = self.receive(at).await;
                self.next(at, result.is_ok());
                result
            }
            Step::ReceiveLast { barrier } => {
                if let Err(trouble) = self.receive(at).await {
                    tracing::info!(%trouble, "this copy goes on without the last");
                }
                self.last_for = *barrier;
                Ok(())
            }
            Step::Cut { barrier } => {
                at.works.demote(&situation(&at.plan, at.kept.get())).await?;
                self.is_measured = false;
                at.kept.change(|memory| memory.barrier = *barrier)
            }
            Step::NoteBarrier { barrier } => at.kept.change(|memory| memory.barrier = *barrier),
            Step::Measure => {
                let offset_bytes = at
                    .works
                    .measure(&situation(&at.plan, at.kept.get()))
                    .await?;
                at.kept
                    .change(|memory| memory.offset_bytes = offset_bytes)?;
                self.is_measured = true;
                Ok(())
            }
        }
    }

    /// The order by which the guard does something.
    pub(super) fn order_for(&self, at: &Here<W>, ordered: Ordered) -> Result<Order, Trouble> {
        let has_writer = at.works.writer().is_some();
        // What the guard does not run, its end does not fence: the holder is kept up whatever happens.
        let fences = at.kept.get().fences_itself && has_writer;
        let terms = |epoch| Some(lease(&at.plan, epoch, fences));
        let (program, lease, gives_back) = match (ordered, at.works.writer()) {
            (Ordered::Nothing { gives_back }, _) => (None, None, gives_back),
            (Ordered::Write { epoch }, Some(writer)) => {
                let program = self.program_of(at, writer, epoch)?;
                (Some(program), terms(epoch), false)
            }
            (Ordered::Hold { epoch } | Ordered::Write { epoch }, _) => {
                (Some(self.holder()), terms(epoch), false)
            }
        };
        Ok(Order {
            plan: at.plan.plan.clone(),
            serial: 0,
            service_address: service(&at.plan).filter(|_| lease.is_some()),
            lease,
            program,
            gives_back,
        })
    }

    async fn order(&mut self, at: &Here<W>, ordered: Ordered) -> Result<(), Trouble> {
        let order = self.order_for(at, ordered)?;
        if let Some(program) = &order.program {
            let writer = at.works.writer().map(|writer| &writer.user);
            make_log(
                &program.log,
                writer.filter(|user| user.id == program.user_id),
            )?;
        }
        self.ordered = None;
        let serial = seams::order(self.desk.guard.as_ref(), order.clone()).await?;
        self.ordered = Some((ordered, order, serial));
        Ok(())
    }

    /// The program ends at once where the lease does.
    async fn promote(&mut self, at: &mut Here<W>) -> Result<(), Trouble> {
        let epoch = at.kept.get().epoch;
        let mut status = self.desk.guard.status();
        let ends = status.wait_for(|status| {
            !status.as_ref().is_some_and(|status| {
                status.may_write && !status.is_lost && status.epoch == Some(epoch)
            })
        });
        let situation = situation(&at.plan, at.kept.get());
        tokio::select! {
            biased;
            _ = ends => return Err(Trouble(format!("lease {epoch} ended during the promotion"))),
            () = changes(&self.desk, &at.plan.duty) => return Ok(()),
            promoted = at.works.promote(&situation) => promoted?,
        }
        self.due = Instant::now();
        at.kept.change(|memory| memory.promoted = epoch)
    }

    fn announce(&self, at: &Here<W>) -> Result<(), Trouble> {
        let (path, memory) = (beacon::path(&self.setup), at.kept.get());
        let beacon = Beacon {
            epoch: memory.epoch,
            offset_bytes: memory.offset_bytes,
        };
        match beacon::read(&path).as_ref() == Some(&beacon) {
            true => Ok(()),
            false => beacon::light(&path, &beacon),
        }
    }

    async fn publish(&mut self, at: &mut Here<W>) -> Result<(), Trouble> {
        let situation = situation(&at.plan, at.kept.get());
        let offset_bytes = tokio::select! {
            published = at.works.publish(&situation) => published?,
            () = changes(&self.desk, &at.plan.duty) => return Ok(()),
        };
        self.is_measured = true;
        at.kept.change(|memory| memory.offset_bytes = offset_bytes)
    }

    async fn receive(&mut self, at: &mut Here<W>) -> Result<(), Trouble> {
        let situation = situation(&at.plan, at.kept.get());
        let received = tokio::select! {
            received = at.works.receive(&situation) => received?,
            () = changes(&self.desk, &at.plan.duty) => return Ok(()),
        };
        self.is_measured = true;
        at.kept.change(|memory| {
            (memory.branch, memory.offset_bytes) = (received.branch, received.offset_bytes);
            (memory.is_whole, memory.may_diverge) = (true, false);
        })
    }

    /// When it is copied next.
    fn next(&mut self, at: &Here<W>, is_well: bool) {
        let interval = at.works.interval();
        self.due = Instant::now()
            + match is_well {
                true => interval,
                false => interval.min(RETRY_MAX),
            };
    }

    fn program_of(&self, at: &Here<W>, writer: &Writer, epoch: u64) -> Result<Program, Trouble> {
        let situation = situation(&at.plan, at.kept.get());
        Ok(Program {
            command: writer.command.clone(),
            environment: situation.environment_of_writer(writer, epoch),
            folder: PathBuf::from("/"),
            user_id: writer.user.id,
            group_id: writer.user.group_id,
            groups: writer.user.groups.clone(),
            stop_signal: StopSignal::Terminate,
            stop_max_ms: milliseconds(writer.stop_max),
            seal: self.setup.seal.clone(),
            log: self.setup.log.clone(),
        })
    }

    fn holder(&self) -> Program {
        Program {
            command: HOLDER.map(str::to_owned).into(),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            folder: PathBuf::from("/"),
            user_id: 0,
            group_id: 0,
            groups: Vec::new(),
            stop_signal: StopSignal::Terminate,
            stop_max_ms: 0,
            seal: self.setup.seal.clone(),
            log: self.setup.folder.join("holder.log"),
        }
    }
}

/// Ends what an earlier plan's guard let go.
async fn end_earlier(look: &Look) -> Result<(), Trouble> {
    for found in look.runs_on.iter().flatten() {
        let pid = found.pid();
        tracing::warn!(
            pid,
            "what runs on from an earlier plan is ended in good order"
        );
        let ended = found.end().await;
        ended.map_err(|error| Trouble(error.sentence()))?;
    }
    Ok(())
}

fn situation<'a>(plan: &'a hanse_core::dr::duty::CopyPlan, memory: &'a Memory) -> Situation<'a> {
    Situation { plan, memory }
}

/// Returns once the copy has to be something else than this duty says.
async fn changes(desk: &crate::keeper::Desk, was: &Duty) {
    let mut plans = desk.plans.clone();
    let is_other = |duty: &Duty| match (was, duty) {
        // Who follows changes nothing of what is done here.
        (Duty::Lead { epoch: was, .. }, Duty::Lead { epoch, .. }) => was != epoch,
        (was, duty) => was != duty,
    };
    let changed =
        plans.wait_for(|heard| heard.as_ref().is_none_or(|(_, plan)| is_other(&plan.duty)));
    if changed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A log that what writes can write to.
fn make_log(log: &Path, user: Option<&User>) -> Result<(), Trouble> {
    let folder = beacon::own_folder(log.parent().unwrap_or(log))?;
    let mut owner = Owner::own(0o640);
    if let Some(user) = user {
        (owner.user_id, owner.group_id) = (user.id, user.group_id);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = log
        .file_name()
        .ok_or_else(|| io::ErrorKind::InvalidFilename.into())
        .and_then(|name| Ok(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?))
        .and_then(|log| folder::give(&log, owner));
    made.map_err(|error| Trouble::io("make", log, &error))
}
