//! Makes the backups of a copy that leads, beside its keeper, and tells how they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hanse_core::dr::backup::BackupSight;
use hanse_core::name::PlanName;
use hanse_core::object::dr_backup::Backup;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::layout::Server;
use super::super::session::Session;
use super::archive::Archive;
use super::decide::{Next, ended, flaw, fulls_kept, next};
use super::gap::{self, Course, Gap};
use super::place::Place;
use super::repository::{Kind, Made, Repository};
use crate::away::away;
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
    under: Under,
    interval: Duration,
    retention: Duration,
    /// What pgBackRest is told is known by this: if that changes, it is looked anew.
    digest: String,
}

/// Whose log is archived, and to where. A backup that is being made of this is given up once it is another;
/// whatever else changes holds for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Under {
    place: Place,
    course: Course,
}

/// What is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    archive: Archive,
    made: Option<Summary>,
    trouble: Option<String>,
    /// What is wrong with the latest backup.
    flaw: Option<String>,
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
        backup: &Backup,
        (epoch, digest): (u64, &str),
    ) {
        let repository = format!("{} {}", backup.password_version, backup.repository);
        self.order(Some(Job {
            under: Under {
                place: Place::of(server, plan),
                course: Course { epoch, repository },
            },
            interval: backup.interval.value(),
            retention: backup.retention.value(),
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
            flaw,
            progress,
        } = self;
        // A backup fails too while the log it needs is not archived.
        let troubles = [&archive.trouble, trouble, flaw];
        let trouble = troubles.into_iter().find_map(Clone::clone);
        let missing = archive
            .gap
            .filter(|_| made.as_ref().is_some_and(|made| made.count > 0));
        BackupSight {
            count: made.as_ref().map_or(0, |made| made.count),
            backed_up_unix_s: made.as_ref().map(|made| made.last_unix_s),
            restorable_from_unix_s: made.as_ref().map(|made| made.first_unix_s),
            archived_unix_s: archive.archived_unix_s,
            waiting_bytes: archive.waiting_bytes,
            trouble: trouble.or_else(|| missing.map(words)),
            progress: progress.clone(),
        }
    }
}

/// What a gap means.
fn words(gap: Gap) -> String {
    let why = match gap {
        Gap::Unproved => "no backup was made since this copy leads, or since backups are declared",
        Gap::LetGo => "parts of the log were let go, since the repository was away for too long",
        Gap::Damaged => {
            "parts of the log are missing, and the backup that was made since is damaged"
        }
    };
    format!("{why}: what was written between the last backup and the next may not be restored")
}

/// Does the latest job until there is another one.
async fn run(mut jobs: watch::Receiver<Option<Job>>, told: watch::Sender<Told>) {
    loop {
        let job = jobs.borrow_and_update().clone();
        let under = job.map(|job| job.under);
        told.send_replace(Told::default());
        let orders = jobs.clone();
        let work = async {
            match &under {
                None => std::future::pending().await,
                Some(under) => tokio::join!(mind(under, &told), back_up(orders, &told)),
            }
        };
        let is_other = |job: &Option<Job>| job.as_ref().map(|job| &job.under) != under.as_ref();
        tokio::select! {
            _ = work => return,
            other = jobs.wait_for(is_other) => if other.is_err() {
                return;
            },
        }
    }
}

/// Looks after the archive of the log, for ever.
async fn mind(Under { place, course }: &Under, told: &watch::Sender<Told>) {
    let mut session = Session::new(&place.data);
    loop {
        match Archive::look(place, course, &mut session).await {
            Ok(archive) => tell(told, |told| told.archive = archive),
            // The keeper tells of a server that doesn't answer.
            Err(trouble) => tracing::debug!(%trouble, "the archive can't be looked at"),
        }
        sleep(ARCHIVE_EVERY).await;
    }
}

/// Makes backups, for ever.
async fn back_up(mut orders: watch::Receiver<Option<Job>>, told: &watch::Sender<Told>) {
    let mut is_prepared = false;
    loop {
        let job = orders.borrow_and_update().clone();
        let Some(job) = job else {
            match orders.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let plan = &job.under.place.plan;
        let turned = turn(&job, told, &mut is_prepared).await;
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
        tokio::select! {
            () = sleep(turned.unwrap_or(RETRY)) => {}
            changed = orders.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn turn(
    job: &Job,
    told: &watch::Sender<Told>,
    is_prepared: &mut bool,
) -> Result<Duration, Trouble> {
    let Job {
        under: Under { place, course },
        interval,
        retention,
        ..
    } = job;
    place.check()?;
    let gap = look_for_gap(place, course, told).await?;
    let repository = Repository(place);
    if !*is_prepared {
        repository.prepare().await?;
        *is_prepared = true;
    }
    let made = look(&repository, told).await?;
    let kind = match next(&made, now_unix_s(), (*interval, *retention), gap) {
        Next::Wait(pause) => return Ok(pause.min(LOOK_MAX)),
        Next::Make(kind) => kind,
    };
    tell(told, |told| {
        told.progress = Some(match kind {
            Kind::Full => "a full backup is being made".to_owned(),
            Kind::Incremental => "a backup of what changed is being made".to_owned(),
        });
    });
    if gap.is_some() {
        let place = place.clone();
        away(move || gap::begin(&place)).await?;
    }
    repository.make(kind).await?;
    let made = look(&repository, told).await?;
    if gap.is_some() {
        let is_damaged = made.last().is_some_and(|made| made.is_damaged);
        let (of, on) = (place.clone(), course.clone());
        away(move || gap::end(&of, &on, is_damaged)).await?;
        look_for_gap(place, course, told).await?;
    }
    let fulls = made.iter().filter(|made| made.kind == Kind::Full).count();
    let kept = fulls_kept(&made, now_unix_s(), *retention);
    if kept < fulls {
        repository.expire(kept).await?;
        look(&repository, told).await?;
    }
    Ok(Duration::ZERO)
}

async fn look_for_gap(
    place: &Place,
    course: &Course,
    told: &watch::Sender<Told>,
) -> Result<Option<Gap>, Trouble> {
    let (place, course) = (place.clone(), course.clone());
    let gap = away(move || gap::look(&place, &course)).await?;
    tell(told, |told| told.archive.gap = gap);
    Ok(gap)
}

async fn look(
    repository: &Repository<'_>,
    told: &watch::Sender<Told>,
) -> Result<Vec<Made>, Trouble> {
    let made = repository.all().await?;
    let now_unix_s = now_unix_s();
    let flaw = flaw(&made, now_unix_s);
    // A damaged one doesn't count, although it is better than nothing.
    let good: Vec<_> = made.iter().filter(|made| !made.is_damaged).collect();
    let summary = good.first().zip(good.last()).map(|(first, last)| Summary {
        count: u32::try_from(good.len()).unwrap_or(u32::MAX),
        first_unix_s: first.restorable_from_unix_s(),
        last_unix_s: ended(last, now_unix_s),
    });
    tell(told, |told| (told.made, told.flaw) = (summary, flaw));
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
