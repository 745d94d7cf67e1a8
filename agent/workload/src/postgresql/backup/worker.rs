//! Makes the backups of a copy that leads, beside its keeper, and tells how they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hanse_core::dr::backup::BackupSight;
use hanse_core::duration::Span;
use hanse_core::name::PlanName;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::layout::Server;
use super::super::session::Session;
use super::archive::{Archive, forget_gap};
use super::decide::{Next, fulls_kept, next};
use super::place::Place;
use super::repository::{Kind, Made, Repository};
use crate::trouble::Trouble;

/// How often the archive of the log is looked at.
const ARCHIVE_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether something is due, at the latest.
const LOOK_MAX: Duration = Duration::from_secs(10);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// The backups of one copy. Dropped, one that is being made is given up.
pub(crate) struct Backups {
    jobs: watch::Sender<Option<Job>>,
    told: watch::Receiver<Told>,
    _task: JoinSet<()>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    place: Place,
    interval: Span,
    retention: Span,
    /// The lease under which the copy leads.
    epoch: u64,
    /// What pgBackRest is told is known by this: another repository is looked at anew.
    digest: String,
}

/// What is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    archive: Archive,
    made: Option<Summary>,
    trouble: Option<String>,
    progress: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Summary {
    count: u32,
    first_unix_s: u64,
    last_unix_s: u64,
}

impl Backups {
    pub(crate) fn new() -> Self {
        let (jobs, orders) = watch::channel(None);
        let (tell, told) = watch::channel(Told::default());
        let mut task = JoinSet::new();
        task.spawn(run(orders, tell));
        Self {
            jobs,
            told,
            _task: task,
        }
    }

    /// Has the backups of a copy made that leads under a lease.
    pub(crate) fn make(
        &self,
        server: &Server,
        plan: &PlanName,
        (interval, retention): (&Span, &Span),
        (epoch, digest): (u64, &str),
    ) {
        self.order(Some(Job {
            place: Place::of(server, plan),
            interval: interval.clone(),
            retention: retention.clone(),
            epoch,
            digest: digest.to_owned(),
        }));
    }

    /// Has none made any more.
    pub(crate) fn rest(&self) {
        self.order(None);
    }

    fn order(&self, job: Option<Job>) {
        self.jobs.send_if_modified(|known| {
            let is_other = *known != job;
            *known = job;
            is_other
        });
    }

    /// How they are.
    pub(crate) fn sight(&self) -> BackupSight {
        self.told.borrow().sight()
    }
}

impl Told {
    fn sight(&self) -> BackupSight {
        let Self {
            archive,
            made,
            trouble,
            progress,
        } = self;
        BackupSight {
            count: made.as_ref().map_or(0, |made| made.count),
            backed_up_unix_s: made.as_ref().map(|made| made.last_unix_s),
            restorable_from_unix_s: made.as_ref().map(|made| made.first_unix_s),
            archived_unix_s: archive.archived_unix_s,
            waiting_bytes: archive.waiting_bytes,
            // A backup fails too while the log it needs is not archived.
            trouble: archive.trouble.clone().or_else(|| trouble.clone()),
            progress: progress.clone(),
        }
    }
}

/// Does the latest job until there is another one.
async fn run(mut jobs: watch::Receiver<Option<Job>>, told: watch::Sender<Told>) {
    loop {
        let job = jobs.borrow_and_update().clone();
        told.send_replace(Told::default());
        let work = async {
            match &job {
                None => std::future::pending().await,
                Some(job) => tokio::join!(mind(job, &told), back_up(job, &told)),
            }
        };
        tokio::select! {
            _ = work => return,
            changed = jobs.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// Looks after the archive of the log, for ever.
async fn mind(job: &Job, told: &watch::Sender<Told>) {
    let mut session = Session::new(&job.place.data);
    loop {
        match Archive::look(&job.place, &mut session).await {
            Ok(archive) => tell(told, |told| told.archive = archive),
            // The keeper tells of a server that doesn't answer.
            Err(trouble) => tracing::debug!(%trouble, "the archive can't be looked at"),
        }
        sleep(ARCHIVE_EVERY).await;
    }
}

/// Makes backups, for ever.
async fn back_up(job: &Job, told: &watch::Sender<Told>) {
    let plan = &job.place.plan;
    let mut is_prepared = false;
    loop {
        let turned = turn(job, told, &mut is_prepared).await;
        let trouble = turned.as_ref().err().map(ToString::to_string);
        if let Some(trouble) = &trouble
            && told.borrow().trouble.as_ref() != Some(trouble)
        {
            tracing::warn!(%plan, %trouble, "the backups are in trouble");
        }
        tell(told, |told| {
            told.trouble = trouble;
            told.progress = None;
        });
        sleep(turned.unwrap_or(RETRY)).await;
    }
}

async fn turn(
    job: &Job,
    told: &watch::Sender<Told>,
    is_prepared: &mut bool,
) -> Result<Duration, Trouble> {
    let Job {
        place,
        interval,
        retention,
        ..
    } = job;
    place.check()?;
    let repository = Repository(place);
    if !*is_prepared {
        repository.prepare().await?;
        *is_prepared = true;
    }
    let made = look(&repository, told).await?;
    let has_gap = told.borrow().archive.has_gap;
    let spans = (interval.value(), retention.value());
    let kind = match next(&made, now_unix_s(), spans, has_gap) {
        Next::Wait(pause) => return Ok(pause.min(LOOK_MAX)),
        Next::Make(kind) => kind,
    };
    tell(told, |told| {
        told.progress = Some(match kind {
            Kind::Full => "a full backup is being made".to_owned(),
            Kind::Incremental => "a backup of what changed is being made".to_owned(),
        });
    });
    repository.make(kind).await?;
    if has_gap {
        forget_gap(place)?;
    }
    let made = look(&repository, told).await?;
    let fulls = made.iter().filter(|made| made.kind == Kind::Full).count();
    let kept = fulls_kept(&made, now_unix_s(), retention.value());
    if kept < fulls {
        repository.expire(kept).await?;
        look(&repository, told).await?;
    }
    Ok(Duration::ZERO)
}

async fn look(
    repository: &Repository<'_>,
    told: &watch::Sender<Told>,
) -> Result<Vec<Made>, Trouble> {
    let made = repository.backups().await?;
    let summary = made.first().zip(made.last()).map(|(first, last)| Summary {
        count: u32::try_from(made.len()).unwrap_or(u32::MAX),
        first_unix_s: first.restorable_from_unix_s(),
        last_unix_s: last.ended_unix_s,
    });
    tell(told, |told| told.made = summary);
    Ok(made)
}

fn tell(told: &watch::Sender<Told>, change: impl FnOnce(&mut Told)) {
    told.send_if_modified(|told| {
        let before = told.clone();
        change(told);
        *told != before
    });
}

pub(super) fn now_unix_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
