//! Takes the steps. Nothing is decided here.

use std::time::{Duration, Instant};

use hanse_core::dr::duty::{CopyPlan, Duty};
use hanse_core::dr::sight::CopyRole;
use hanse_guard::{Order, Program, StopSignal};
use tokio::sync::watch;

use super::backup::inherit;
use super::behind::Behind;
use super::decide::{Ordered, Step};
use super::keeper::{Here, Keeper};
use super::look::{Look, followed, followers};
use super::{
    Control, Primary, STOP_MAX, Server, Session, ask, connection, let_listen_early, others,
    provide, reload, slot,
};
use crate::away::away;
use crate::seams;
use crate::terms::{lease, milliseconds, service};
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(2);
const CHECKPOINT_MAX: Duration = Duration::from_secs(3600);
const PROMOTE: &str = "select pg_promote(false) where pg_is_in_recovery()";

impl Keeper {
    pub(crate) async fn execute(
        &mut self,
        at: &mut Here,
        look: &Look,
        step: &Step,
    ) -> Result<(), Trouble> {
        match step {
            Step::Rest | Step::Wait(_) | Step::Trouble(_) => Ok(()),
            Step::Create => at.server.create().await,
            Step::StopOutside => {
                // Before it ends, so that nobody starts it again past the guard.
                write_configuration(at, look)?;
                match look.outsider {
                    Some(outsider) => at.server.stop_outsider(outsider).await,
                    None => Ok(()),
                }
            }
            Step::Configure => {
                write_configuration(at, look)?;
                match look.answer.is_some() {
                    true => reload(&mut at.observer.session).await,
                    false => Ok(()),
                }
            }
            Step::Order(ordered) => self.order(at, *ordered).await,
            Step::NoteLead {
                epoch,
                is_promotion,
            } => at.kept.change(|memory| {
                (memory.epoch, memory.branch) = (*epoch, *epoch);
                memory.pointed = None;
                memory.may_diverge = true;
                memory.promotes |= is_promotion;
            }),
            Step::Promote => self.promote(at).await,
            Step::NoteTimeline { timeline } => {
                checkpoint(at);
                at.kept.change(|memory| {
                    memory.lineage.insert(*timeline, memory.epoch);
                    memory.promotes = false;
                })
            }
            Step::Provide => {
                let is_standby = look.answer.as_ref().is_none_or(|answer| !answer.writes);
                let key = at.plan.key.as_ref().filter(|_| !is_standby);
                let others: Vec<_> = others(&at.plan).map(|(cluster, _)| cluster).collect();
                let session = &mut at.observer.session;
                provide(session, key, &followers(&at.plan), &others).await?;
                self.provided = Some(look.provision.clone());
                Ok(())
            }
            Step::Ask => self.ask(at, None).await.map(|_| ()),
            Step::AskLog { place } => self.ask_log(at, *place).await,
            Step::Seed => self.seed(at).await,
            Step::Recover => at.server.recover().await,
            Step::Rewind => self.rewind(at, look).await,
            Step::MarkStandby => at.server.mark_standby(),
            Step::NoteLineage => {
                let lineage = self.source(at)?.source.lineage;
                at.kept.change(|memory| memory.lineage = lineage)
            }
            Step::NotePointed(pointed) => at.kept.change(|memory| memory.pointed = Some(*pointed)),
            Step::NoteUntouched => at.kept.change(|memory| memory.pointed = None),
            Step::NoteDiverges => at.kept.change(|memory| memory.may_diverge = true),
            Step::NoteBranch { epoch } => at.kept.change(|memory| {
                (memory.branch, memory.pointed) = (*epoch, None);
                (memory.is_being_made, memory.may_diverge) = (false, false);
                memory.promotes = false;
            }),
            Step::NoteBarrier { barrier } => at.kept.change(|memory| memory.barrier = *barrier),
        }
    }

    /// The order by which the guard does something.
    pub(crate) fn order_for(&self, at: &Here, ordered: Ordered) -> Result<Order, Trouble> {
        let fences = match &at.plan.duty {
            Duty::Lead { fences_itself, .. } => *fences_itself,
            Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => false,
        };
        let (program, lease, gives_back) = match ordered {
            Ordered::Nothing { gives_back } => (None, None, gives_back),
            Ordered::Standby => (Some(program(&at.server)?), None, false),
            Ordered::Primary { epoch } => {
                let lease = lease(&at.plan, epoch, fences);
                (Some(program(&at.server)?), Some(lease), false)
            }
        };
        let service_address = service(&at.plan).filter(|_| lease.is_some());
        Ok(Order {
            plan: at.plan.plan.clone(),
            serial: 0,
            lease,
            program,
            gives_back,
            service_address,
        })
    }

    async fn order(&mut self, at: &Here, ordered: Ordered) -> Result<(), Trouble> {
        let order = self.order_for(at, ordered)?;
        self.ordered = None;
        let serial = seams::order(self.guard.as_ref(), order.clone()).await?;
        self.ordered = Some((ordered, order, serial));
        Ok(())
    }

    /// The connection is there before the lease is looked at for the last time: what is between that
    /// and the promotion is one message on this host.
    async fn promote(&mut self, at: &mut Here) -> Result<(), Trouble> {
        if at.plan.backup.is_some() {
            inherit_log(at).await;
        }
        let session = &mut at.observer.session;
        session.ask("select 1", ANSWER_MAX).await?;
        let epoch = at.kept.get().epoch;
        let may_write = self.guard.status().borrow().as_ref().is_some_and(|status| {
            status.may_write && !status.is_lost && status.epoch == Some(epoch)
        });
        match may_write {
            false => Ok(()),
            true => session.ask(PROMOTE, ANSWER_MAX).await.map(|_| ()),
        }
    }

    /// Asks the primary what it is, unless the duty changes meanwhile: a host that is gone answers late.
    /// Yields whether it lacks its log at a place.
    async fn ask(&mut self, at: &Here, place: Option<u64>) -> Result<bool, Trouble> {
        let Duty::Follow { primary, epoch } = &at.plan.duty else {
            return Ok(false);
        };
        at.server.write_passwords(&at.plan)?;
        let connection = self.connection(at)?;
        let asks = ask(&at.server, &connection, place);
        let told = unless_changed(self.plans.clone(), &at.plan.duty, asks).await;
        let Some(told) = told.transpose()? else {
            return Ok(false);
        };
        if told.epoch != Some(*epoch) {
            return Err(Trouble(format!(
                "`{primary}` does not write under lease {epoch} yet"
            )));
        }
        let lacks_log = told.lacks_log;
        self.source = Some((primary.clone(), *epoch, told));
        Ok(lacks_log)
    }

    /// Asks the primary whether this copy can go on. One that doesn't say so is asked again later.
    async fn ask_log(&mut self, at: &Here, place: u64) -> Result<(), Trouble> {
        self.behind.asks(Instant::now());
        match self.ask(at, Some(place)).await {
            Ok(true) => {
                let has_archive = self.has_archive(at).await?;
                tracing::warn!(place, has_archive, "the primary lacks the log from here on");
                if let Duty::Follow { epoch, .. } = &at.plan.duty {
                    self.behind
                        .lacks((*epoch, place), has_archive, Instant::now());
                }
            }
            Ok(false) => {}
            Err(trouble) => tracing::debug!(%trouble, "whether it has the log is not known"),
        }
        Ok(())
    }

    /// Whether the server reads an archive of its own, which may have what the primary lacks.
    async fn has_archive(&mut self, at: &Here) -> Result<bool, Trouble> {
        let command = self.own.get(&at.server, "restore_command").await?;
        Ok(!command.is_empty())
    }

    fn connection(&self, at: &Here) -> Result<String, Trouble> {
        let address = followed(&at.plan)
            .ok_or_else(|| Trouble("the primary has no address in the mesh yet".to_owned()))?;
        Ok(connection(address, at.server.port, &at.server.passwords()?))
    }

    fn source(&self, at: &Here) -> Result<Primary, Trouble> {
        let source = self.source_for(at).cloned();
        source.ok_or_else(|| Trouble("the primary was not asked yet".to_owned()))
    }

    /// Copies the primary, unless the duty changes meanwhile.
    async fn seed(&mut self, at: &mut Here) -> Result<(), Trouble> {
        let primary = self.source(at)?;
        let connection = self.connection(at)?;
        // What was told may be old when this ends: it is asked again.
        self.source = None;
        let told = self.report.clone();
        let progress = |text: String| {
            told.send_modify(|report| {
                report.role = CopyRole::Seeding;
                report.position = None;
                report.trouble = None;
                report.progress = Some(text);
            });
        };
        let (server, slot, kept) = (&at.server, slot(&at.plan.cluster), &mut at.kept);
        let before = || {
            kept.change(|memory| {
                memory.lineage = primary.source.lineage.clone();
                memory.is_being_made = true;
            })
        };
        let copies = server.seed(&primary, &connection, &slot, progress, before);
        let copied = unless_changed(self.plans.clone(), &at.plan.duty, copies).await;
        if copied.transpose()?.is_none() {
            return Ok(());
        }
        self.behind = Behind::default();
        at.kept.change(|memory| {
            (memory.may_diverge, memory.promotes) = (false, false);
            memory.is_half_rewound = false;
        })
    }

    /// Takes away what the primary doesn't have; where that can't be, the copy is made anew.
    async fn rewind(&mut self, at: &mut Here, look: &Look) -> Result<(), Trouble> {
        let (primary, connection) = (self.source(at)?, self.connection(at)?);
        let Some(control) = &look.control else {
            return Ok(());
        };
        let mut must = match control.is_rewindable {
            true => at.server.must_rewind(&connection).await,
            false => Err(Trouble(
                "neither checksums nor wal_log_hints were on".to_owned(),
            )),
        };
        if matches!(must, Ok(true)) && self.lacks_branch(at, control, &primary).await? {
            must = Err(Trouble(
                "the primary no longer has the log since it began to lead".to_owned(),
            ));
        }
        if !matches!(must, Ok(false))
            && let Some((bytes, folder)) = at.server.keep_divergent(control, &primary.source)?
        {
            let folder = folder.display();
            tracing::warn!(%folder, bytes, "what the primary does not have is kept for 7 days");
            self.tell_kept(at);
        }
        match must {
            Ok(true) => {
                at.kept.change(|memory| memory.is_half_rewound = true)?;
                at.server.rewind(&connection).await?;
            }
            Ok(false) => at.server.mark_standby()?,
            Err(trouble) => {
                // If the primary answers, it is not because of the way to it.
                ask(&at.server, &connection, None).await?;
                tracing::warn!(%trouble, "this copy can't be rewound, and is made anew");
                return at.kept.change(|memory| memory.is_half_rewound = true);
            }
        }
        at.kept.change(|memory| {
            (memory.is_half_rewound, memory.may_diverge) = (false, false);
            memory.promotes = false;
            memory.is_being_made = true;
            memory.lineage = primary.source.lineage;
        })
    }

    /// Whether the primary lacks the log since it left this copy's: what is rewound goes on from there.
    async fn lacks_branch(
        &mut self,
        at: &Here,
        control: &Control,
        primary: &Primary,
    ) -> Result<bool, Trouble> {
        let timeline = control.latest_timeline();
        let mut forks = primary.source.forks.iter();
        let Some((_, fork)) = forks.find(|(number, _)| *number == timeline) else {
            return Ok(false);
        };
        if self.has_archive(at).await? || !self.ask(at, Some(*fork)).await? {
            return Ok(false);
        }
        if let Duty::Follow { epoch, .. } = &at.plan.duty {
            self.behind.lacks((*epoch, *fork), false, Instant::now());
        }
        Ok(true)
    }

    /// Tells of what was given up before it is gone from the data.
    fn tell_kept(&mut self, at: &Here) {
        self.kept_aside.look_again();
        let folder = &at.server.setup.folder;
        let kept = self.kept_aside.sentences(folder, Instant::now()).to_vec();
        self.report.send_modify(|report| {
            report.progress = Some("it gives up what the primary does not have".to_owned());
            for sentence in kept {
                if !report.warnings.contains(&sentence) {
                    report.warnings.push(sentence);
                }
            }
        });
    }
}

/// Does what may take long, unless the duty changes meanwhile; none: it did.
async fn unless_changed<T>(
    mut plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    was: &Duty,
    work: impl Future<Output = T>,
) -> Option<T> {
    let changes = plans.wait_for(|heard| heard.as_ref().is_none_or(|(_, plan)| plan.duty != *was));
    tokio::select! {
        done = work => Some(done),
        _ = changes => None,
    }
}

/// Has the server note its new timeline in its control file, by which `pg_rewind` goes, sooner than it
/// would. Nothing waits for it.
fn checkpoint(at: &Here) {
    let mut session = Session::new(&at.server.data);
    tokio::spawn(async move {
        if let Err(trouble) = session.ask("checkpoint", CHECKPOINT_MAX).await {
            tracing::warn!(%trouble, "unable to ask for a checkpoint");
        }
    });
}

/// Has what the primary before may not have archived be archived. No promotion fails by it: a backup
/// follows anyway.
async fn inherit_log(at: &Here) {
    let data = at.server.data.clone();
    match away(move || inherit(&data)).await {
        Ok(parts) => tracing::debug!(parts, "what the primary before wrote is archived again"),
        Err(trouble) => tracing::warn!(%trouble, "the log of before can't be archived"),
    }
}

fn write_configuration(at: &Here, look: &Look) -> Result<(), Trouble> {
    if let Some(service) = &at.plan.service {
        let_listen_early(service.address)?;
    }
    at.server.write_passwords(&at.plan)?;
    match &look.configuration {
        Some(configuration) => configuration.write(),
        None => Ok(()),
    }
}

fn program(server: &Server) -> Result<Program, Trouble> {
    let argument = |path: &std::path::Path| path.display().to_string();
    let configuration = argument(&server.configuration()?);
    let command = vec![
        argument(&server.bin.join("postgres")),
        "-D".to_owned(),
        argument(&server.data),
        "-c".to_owned(),
        format!("config_file={configuration}"),
    ];
    let environment = [("LC_ALL", "C"), ("PATH", "/usr/bin:/bin")];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(Program {
        command,
        environment: environment.into_iter().map(own).collect(),
        folder: server.data.clone(),
        user_id: server.user.id,
        group_id: server.user.group_id,
        groups: server.user.groups.clone(),
        stop_signal: StopSignal::Interrupt,
        stop_max_ms: milliseconds(STOP_MAX),
        seal: server.setup.seal.clone(),
        log: server.setup.log.clone(),
    })
}
