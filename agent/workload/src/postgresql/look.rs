//! What is seen of a copy in one turn, and what is told of it.

use std::collections::BTreeSet;
use std::time::Instant;

use hanse_core::dr::backup::BackupSight;
use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyPlan, Duty};
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::CopyRole;
use hanse_core::name::ClusterName;
use hanse_guard::Status;

use super::decide::{Course, Data, Ordered, Scene, Seen, Source, Step};
use super::files::Configuration;
use super::keeper::{Here, Keeper};
use super::log_files::log_timeline;
use super::provide::keeps_all;
use super::room::no_room;
use super::{Aim, Answer, Control, Holder, Primary, State, others};
use crate::process::Run;
use crate::report::CopyReport;
use crate::trouble::Trouble;

/// What is seen in one turn.
pub(crate) struct Look {
    pub(crate) data: Data,
    process: Run,
    pub(crate) runs_outside: bool,
    pub(crate) outsider: Option<Holder>,
    ordered: Option<Ordered>,
    may_write_under: Option<u64>,
    pub(crate) answer: Option<Answer>,
    /// Why a server that runs did not answer.
    unanswered: Option<Trouble>,
    seen: Option<Seen>,
    is_configured: bool,
    is_provided: bool,
    pub(super) course: Course,
    pub(crate) control: Option<Control>,
    pub(crate) configuration: Option<Configuration>,
    pub(crate) provision: String,
}

impl Look {
    pub(crate) fn scene<'a>(&self, at: &'a Here, source: Option<&'a Source>) -> Scene<'a> {
        Scene {
            duty: &at.plan.duty,
            is_home: at.plan.is_home,
            memory: at.kept.get(),
            data: self.data,
            process: self.process.clone(),
            runs_outside: self.runs_outside,
            ordered: self.ordered,
            may_write_under: self.may_write_under,
            seen: self.seen,
            is_configured: self.is_configured,
            is_provided: self.is_provided,
            source,
            course: self.course,
        }
    }
}

impl Keeper {
    pub(crate) async fn look(&mut self, at: &mut Here) -> Result<Look, Trouble> {
        let status = self.guard.status().borrow().clone();
        let process = self.process(status.as_ref());
        let outsider = at.server.outsider(status.as_ref(), self.guard.began());
        let runs_outside = outsider.is_some();
        let has_data = at.server.has_data()?;
        let (answer, unanswered) = match has_data && (runs_outside || process == Run::Running) {
            true => match at.observer.observe().await {
                Ok(answer) => (Some(answer), None),
                Err(trouble) => (None, Some(trouble)),
            },
            false => (None, None),
        };
        let control = match has_data && answer.is_none() {
            true => Some(at.server.control().await?),
            false => None,
        };
        let data = match (&answer, &control) {
            (Some(answer), _) => Data::Whole {
                system: answer.system,
                is_standby: !answer.writes,
                is_clean: false,
                timeline: answer.timeline,
            },
            (None, Some(control)) => Data::Whole {
                system: control.system,
                is_standby: at.server.data.join("standby.signal").exists(),
                is_clean: control.state != State::Running,
                timeline: control.latest_timeline(),
            },
            (None, None) => Data::None,
        };
        let configuration = match (has_data, aim(at)?) {
            (true, Some(aim)) => {
                let own = &mut self.own;
                Some(at.server.configuration_for(&at.plan, &aim, own).await?)
            }
            (true | false, _) => None,
        };
        let is_configured = configuration.as_ref().is_some_and(|configuration| {
            let in_effect = answer
                .as_ref()
                .and_then(|answer| answer.settings.as_deref());
            configuration.is_written()
                && (answer.is_none() || in_effect == Some(configuration.digest.as_str()))
        });
        let provision = provision(at);
        let mut is_provided = self.provided.as_ref() == Some(&provision);
        if is_provided && answer.as_ref().is_some_and(|answer| answer.writes) {
            let kept = keeps_all(&mut at.observer.session, &followers(&at.plan)).await;
            // What can't be told now is asked again in the next turn.
            is_provided = kept.unwrap_or(true);
        }
        let course = self.course(at, &process, (answer.as_ref(), control.as_ref()));
        let followed = followed(&at.plan);
        let seen = answer.as_ref().map(|answer| Seen {
            writes: answer.writes,
            receives: match (&answer.receives_from, followed) {
                (Some((host, port)), Some(address)) => {
                    host.parse() == Ok(address) && *port == at.server.port
                }
                (_, _) => false,
            },
            is_settled: answer.is_settled,
            offset_bytes: answer.offset_bytes,
            timeline: answer.timeline,
            log_timeline: match at.kept.get().pointed {
                Some(_) => log_timeline(&at.server.data.join("pg_wal")),
                None => 0,
            },
        });
        Ok(Look {
            data,
            process,
            runs_outside,
            outsider,
            ordered: self.ordered_now(at),
            may_write_under: status
                .filter(|status| status.may_write && !status.is_lost)
                .and_then(|status| status.epoch),
            answer,
            unanswered,
            seen,
            is_configured,
            is_provided,
            course,
            control,
            configuration,
            provision,
        })
    }

    /// What of the guard's telling counts: what it told before the last order was in effect does not.
    fn process(&self, status: Option<&Status>) -> Run {
        let serial = self.ordered.as_ref().map_or(0, |(_, _, serial)| *serial);
        Run::told(status, serial)
    }

    /// What is ordered, if it would be ordered so again.
    fn ordered_now(&self, at: &Here) -> Option<Ordered> {
        let (ordered, order, _) = self.ordered.as_ref()?;
        let again = self.order_for(at, *ordered).ok()?;
        (again == *order).then_some(*ordered)
    }

    /// What the primary told that the duty names, under the lease that it names.
    pub(crate) fn source_for(&self, at: &Here) -> Option<&Primary> {
        let Duty::Follow { primary, epoch } = &at.plan.duty else {
            return None;
        };
        let (node, lease, told) = self.source.as_ref()?;
        (node == primary && lease == epoch).then_some(told)
    }

    /// What is told of the copy.
    pub(crate) async fn report_of(
        &mut self,
        at: &Here,
        look: &Look,
        step: &Step,
        obeyed: u64,
    ) -> Result<CopyReport, Trouble> {
        let memory = at.kept.get();
        let is_whole = memory.is_whole();
        let role = role(look, is_whole);
        let offset_bytes = match (&look.seen, &look.control, look.data) {
            (Some(seen), _, _) => Some(seen.offset_bytes),
            (
                None,
                Some(control),
                Data::Whole {
                    is_standby: false, ..
                },
            ) if control.state == State::ShutDown && look.process == Run::Stopped => {
                Some(self.end_of_log(at, control).await?)
            }
            (None, _, _) => None,
        };
        let position = offset_bytes
            .filter(|_| is_whole)
            .map(|offset_bytes| Position {
                branch: memory.branch,
                offset_bytes,
            });
        self.note_set(look);
        let follows = match &at.plan.duty {
            Duty::Follow { .. } => true,
            Duty::Wait | Duty::Lead { .. } | Duty::Detach { .. } | Duty::Stop { .. } => false,
        };
        let waits = |why: &str| match &look.unanswered {
            Some(trouble) => format!("{why}: {trouble}"),
            None => why.to_owned(),
        };
        let (trouble, progress) = match step {
            Step::Trouble(trouble) => (Some(trouble.clone()), None),
            // Until the primary answers, all is as it was.
            Step::AskLog { .. } => {
                let told = self.report.borrow();
                (told.trouble.clone(), told.progress.clone())
            }
            Step::Wait(why) if follows => (Some(waits(why)), None),
            Step::Wait(why) => (None, Some(waits(why))),
            Step::Rest => (None, None),
            _ if follows && role == CopyRole::Following => (
                Some("it does not receive from the primary yet".to_owned()),
                None,
            ),
            _ => (None, None),
        };
        let (warnings, lag_s) = (self.warnings(at, look), self.lag_s(look));
        let told = self.guard.status();
        let trouble = trouble
            .or_else(|| told.borrow().as_ref().and_then(|told| told.trouble.clone()))
            .or_else(|| no_room(&at.server.data));
        let lease = self
            .ordered
            .as_ref()
            .and_then(|(_, order, _)| order.lease.as_ref());
        Ok(CopyReport {
            role,
            revision: obeyed,
            barrier: memory.barrier,
            // A server that the guard did not start writes under no lease.
            epoch: match look.runs_outside {
                true => 0,
                false => memory.epoch,
            },
            fences_itself: lease.is_some_and(|lease| lease.fences_itself)
                && !matches!(look.process, Run::Unknown(_)),
            position,
            received_epoch: memory.received_epoch(),
            set: self.set.in_effect().clone(),
            trouble,
            progress,
            lag_s,
            warnings,
            backup: None,
        })
    }

    /// Has backups made while this copy leads, and yields how they are; none: it makes none.
    pub(crate) fn backup(&self, at: &Here, look: &Look) -> Option<BackupSight> {
        let leads = match &at.plan.duty {
            Duty::Lead { epoch, .. } => Some(*epoch),
            Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => None,
        };
        let wanted = at.plan.backup.as_ref().zip(leads);
        let wanted = wanted.zip(look.configuration.as_ref());
        let Some(((backup, epoch), configuration)) = wanted.filter(|_| !look.runs_outside) else {
            self.backups.rest();
            return None;
        };
        match look.seen {
            // A server that is slow to answer is no reason to give up a backup.
            None if look.process == Run::Running => return Some(self.backups.sight()),
            Some(seen) if seen.writes => {}
            Some(_) | None => {
                self.backups.rest();
                return None;
            }
        }
        if let Some(trouble) = &configuration.archive_trouble {
            self.backups.rest();
            return Some(BackupSight {
                trouble: Some(trouble.to_string()),
                ..BackupSight::default()
            });
        }
        let under = (epoch, configuration.archive_digest());
        self.backups.make(
            &at.server,
            &at.plan.plan,
            &backup.declared,
            (under.0, &under.1),
        );
        Some(self.backups.sight())
    }

    /// Takes what the server says of who has each commit.
    fn note_set(&mut self, look: &Look) {
        if let Some(answer) = &look.answer
            && let Some(told) = &answer.set
        {
            let how = (answer.writes, answer.checkpointer_rests);
            self.set.told(told, how, Instant::now());
        }
    }

    async fn end_of_log(&mut self, at: &Here, control: &Control) -> Result<u64, Trouble> {
        if let Some((checkpoint, end)) = self.end
            && checkpoint == control.checkpoint
        {
            return Ok(end);
        }
        let end = at.server.end_of_log(control).await?;
        self.end = Some((control.checkpoint, end));
        Ok(end)
    }
}

fn role(look: &Look, is_whole: bool) -> CopyRole {
    match (look.data, &look.answer) {
        (Data::None, _) => CopyRole::Absent,
        (Data::Whole { .. }, Some(answer)) if answer.writes => CopyRole::Primary,
        (Data::Whole { .. }, _) if !is_whole => CopyRole::Seeding,
        (Data::Whole { .. }, Some(answer)) if answer.is_settled => CopyRole::Detached,
        (Data::Whole { .. }, Some(_)) => CopyRole::Following,
        (Data::Whole { .. }, None) => match &look.process {
            Run::Stopped | Run::GaveUp(_) if !look.runs_outside => CopyRole::Stopped,
            // It doesn't tell; nothing that counts follows from this one.
            Run::Unknown(_) | Run::Stopped | Run::GaveUp(_) | Run::Running | Run::Stopping => {
                CopyRole::Following
            }
        },
    }
}

/// What a server is to be by its duty; none: it stays as it is.
fn aim(at: &Here) -> Result<Option<Aim>, Trouble> {
    let memory = at.kept.get();
    Ok(match &at.plan.duty {
        Duty::Wait | Duty::Stop { .. } => None,
        Duty::Detach { .. } => Some(Aim {
            set: anybody(&at.plan),
            ..Aim::default()
        }),
        Duty::Lead { epoch, set, .. } => Some(Aim {
            set: set.clone(),
            // Whoever asks may follow from the moment on when the timeline is known.
            epoch: match memory.promotes || memory.epoch != *epoch {
                true => 0,
                false => *epoch,
            },
            lineage: memory.lineage.clone(),
            source: None,
        }),
        Duty::Follow { primary, .. } => match followed(&at.plan) {
            Some(address) => Some(Aim {
                source: Some(address),
                set: anybody(&at.plan),
                ..Aim::default()
            }),
            None => {
                return Err(Trouble(format!(
                    "`{primary}` has no address in the mesh yet, so nothing can be received from it"
                )));
            }
        },
    })
}

/// All other copies, one of which is to have each commit. On a standby that means nothing but that
/// commits wait from its promotion on, whoever has to have them then.
fn anybody(plan: &CopyPlan) -> SyncSet {
    let members: BTreeSet<_> = others(plan).map(|(cluster, _)| cluster.clone()).collect();
    match members.is_empty() {
        true => SyncSet::default(),
        false => SyncSet { members, needed: 1 },
    }
}

/// The address of the primary that is to be followed.
pub(crate) fn followed(plan: &CopyPlan) -> Option<std::net::IpAddr> {
    match &plan.duty {
        Duty::Follow { primary, .. } => plan.places.get(primary)?.address,
        Duty::Wait | Duty::Lead { .. } | Duty::Detach { .. } | Duty::Stop { .. } => None,
    }
}

/// Who is let in by a primary; a standby lets nobody in.
pub(crate) fn followers(plan: &CopyPlan) -> Vec<&ClusterName> {
    match &plan.duty {
        Duty::Lead { followers, .. } => followers
            .iter()
            .filter_map(|node| plan.places.get(node).map(|place| &place.cluster))
            .collect(),
        Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => Vec::new(),
    }
}

/// For whom the server is to be prepared, in one line; the same line needs nothing to be done.
fn provision(at: &Here) -> String {
    let leads = match &at.plan.duty {
        Duty::Lead { epoch, .. } => Some(epoch),
        Duty::Wait | Duty::Follow { .. } | Duty::Detach { .. } | Duty::Stop { .. } => None,
    };
    let key = at.plan.key.as_ref().map(|key| key.as_bytes().to_vec());
    let others: Vec<_> = others(&at.plan).map(|(cluster, _)| cluster).collect();
    format!("{leads:?} {:?} {others:?} {key:?}", followers(&at.plan))
}
