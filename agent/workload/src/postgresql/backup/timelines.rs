//! PostgreSQL's timelines in a repository: whoever is promoted begins one, and so does a restore to a time.
//! Which of them the plan is on is the federation's to say, never the highest number's: a primary that was
//! lost may have archived what nobody else ever had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use hanse_core::dr::duty::Duty;

use super::super::layout::Server;
use super::super::memory::Memory;
use super::super::observe::Observer;
use super::super::source::read_history;
use super::BackedCopy;
use super::place::Place;
use super::repository::{LOOK_MAX, Made};
use crate::memory::Kept;
use crate::trouble::Trouble;

const HISTORY: &str = ".history";

/// A timeline, and those that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Descent {
    pub(super) timeline: u32,
    /// Each earlier one, and how far it counts.
    forks: Vec<(u32, u64)>,
}

/// The timeline that a restore follows.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) descent: Descent,
    /// Its history, where this node alone has it.
    pub(super) lacking: Option<(String, Vec<u8>)>,
    /// What somebody should know of how it was chosen.
    pub(super) note: Option<String>,
}

/// Whose a timeline is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Somebody named it.
    Asked(u32),
    /// The plan is on it. `newest`: of those in the repository.
    Leading { timeline: u32, newest: u32 },
    /// Nobody here knows; it is the newest in the repository, and maybe the only one.
    Newest { timeline: u32, is_only: bool },
}

impl Descent {
    /// The one that every server begins with.
    #[cfg(test)]
    pub(super) fn first() -> Self {
        Self {
            timeline: 1,
            forks: Vec::new(),
        }
    }

    /// Whether a backup has nothing but what belongs to it.
    pub(super) fn has(&self, made: &Made) -> bool {
        let is_before = |fork: u64| made.log_end.is_some_and(|end| end <= fork);
        made.timeline == self.timeline
            || self
                .forks
                .iter()
                .any(|(timeline, fork)| *timeline == made.timeline && is_before(*fork))
    }

    /// Whether a server that came from a backup went past the fork without the log of this timeline.
    /// `end`: where the last record begins that it went through; `read`: the timelines of all that it read.
    pub(super) fn was_missed(&self, from: &Made, end: u64, read: &BTreeSet<u32>) -> bool {
        let fork = self.forks.iter().map(|(_, fork)| *fork).max();
        from.timeline != self.timeline
            && fork.is_some_and(|fork| end >= fork)
            && !read.contains(&self.timeline)
    }
}

/// Chooses the timeline that is restored: the one that was asked for, or else the one that the plan is on, or
/// else the newest.
pub(super) async fn choose(
    copy: &BackedCopy<'_>,
    server: &Server,
    made: &[Made],
    asked: Option<u32>,
) -> Result<Chosen, Trouble> {
    let place = Place::of(server, copy.plan);
    let archive = Archive::find(&place).await?;
    let mut there: BTreeSet<u32> = made.iter().map(|made| made.timeline).collect();
    if let Some(archive) = &archive {
        there.extend(archive.histories().await?);
    }
    let choice = choice(asked, leading(copy, server).await?, &there);
    let timeline = choice.timeline();
    let note = choice.note(copy);
    let (forks, lacking) = match (timeline, archive) {
        (0 | 1, _) | (_, None) => (Vec::new(), None),
        (_, Some(archive)) => {
            let name = format!("{timeline:08X}{HISTORY}");
            let own = fs::read(server.data.join("pg_wal").join(&name)).ok();
            let own = own.filter(|_| asked.is_none());
            history(&archive, &name, timeline, own, there.contains(&timeline)).await?
        }
    };
    Ok(Chosen {
        descent: Descent { timeline, forks },
        lacking,
        note,
    })
}

/// Where each earlier timeline ends, and the file that says so where the repository lacks it.
async fn history(
    archive: &Archive<'_>,
    name: &str,
    timeline: u32,
    own: Option<Vec<u8>>,
    is_there: bool,
) -> Result<(Vec<(u32, u64)>, Option<(String, Vec<u8>)>), Trouble> {
    let read = |bytes: &[u8]| read_history(&String::from_utf8_lossy(bytes));
    match (archive.file(name).await?, own) {
        (Some(archived), Some(own)) if read(&archived) != read(&own) => Err(Trouble(format!(
            "the repository has another timeline {timeline} than the one that this node's server is on: \
             somebody else who was promoted archived there first. What is older can be restored: name \
             its timeline with --timeline, and a time before it ended with --at"
        ))),
        (Some(archived), _) => Ok((read(&archived), None)),
        (None, Some(own)) => Ok((read(&own), Some((name.to_owned(), own)))),
        (None, None) if is_there => Ok((Vec::new(), None)),
        (None, None) => Err(Trouble(format!(
            "the repository has no timeline {timeline}: see `hanse dr backups` for those that it has"
        ))),
    }
}

impl Choice {
    fn timeline(self) -> u32 {
        match self {
            Self::Asked(timeline)
            | Self::Leading { timeline, .. }
            | Self::Newest { timeline, .. } => timeline,
        }
    }

    fn note(self, copy: &BackedCopy<'_>) -> Option<String> {
        let plan = copy.plan;
        match self {
            Self::Leading { timeline, newest } if newest > timeline => Some(format!(
                "`{plan}` is on timeline {timeline}, by what this node heard last, and the repository \
                 has timeline {newest} too, which was left out. If another site leads by now \
                 (`hanse dr {plan}`), restore there, or name the timeline with --timeline"
            )),
            Self::Newest {
                timeline,
                is_only: false,
            } => Some(format!(
                "this node can't tell on which timeline `{plan}` is now, so the newest in the \
                 repository was taken, {timeline}: --timeline takes another"
            )),
            Self::Asked(_) | Self::Leading { .. } | Self::Newest { .. } => None,
        }
    }
}

fn choice(asked: Option<u32>, leading: Option<u32>, there: &BTreeSet<u32>) -> Choice {
    let newest = there.last().copied().unwrap_or(1);
    match (asked, leading) {
        (Some(timeline), _) => Choice::Asked(timeline),
        (None, Some(timeline)) => Choice::Leading { timeline, newest },
        (None, None) => Choice::Newest {
            timeline: newest,
            is_only: there.len() <= 1,
        },
    }
}

/// The timeline that the plan is on, as far as the copy on this node has what the federation says; none: it
/// has not, or there is no copy.
async fn leading(copy: &BackedCopy<'_>, server: &Server) -> Result<Option<u32>, Trouble> {
    let (Duty::Lead { epoch, .. } | Duty::Follow { epoch, .. }) = copy.duty else {
        return Ok(None);
    };
    let kept = Kept::open(&copy.setup.memory, copy.plan, Memory::new)?;
    let memory = kept.get();
    let is_whole = !memory.promotes && memory.is_whole();
    if memory.branch != *epoch || !is_whole || !server.has_data()? {
        return Ok(None);
    }
    let seen = match Observer::new(&server.data).observe().await {
        Ok(answer) => answer.timeline,
        // A standby that stands still may have noted less than it received.
        Err(_) => server.control().await?.latest_timeline(),
    };
    let begun = memory.lineage.keys().max().copied();
    Ok(Some(begun.map_or(seen, |begun| begun.max(seen))))
}

/// The archive of the log that is in use.
struct Archive<'a> {
    place: &'a Place,
    folder: String,
}

impl<'a> Archive<'a> {
    /// Finds it; none: nothing was archived yet. Each upgrade of a server begins another one.
    async fn find(place: &'a Place) -> Result<Option<Self>, Trouble> {
        let root = format!("archive/{}", place.plan);
        let number = |name: &String| name.split_once('-')?.1.parse::<u32>().ok();
        let names = list(place, &root).await?;
        let newest = names.into_iter().filter(|name| number(name).is_some());
        let newest = newest.max_by_key(|name| number(name));
        Ok(newest.map(|name| Self {
            place,
            folder: format!("{root}/{name}"),
        }))
    }

    /// The timelines whose history is there.
    async fn histories(&self) -> Result<Vec<u32>, Trouble> {
        let names = list(self.place, &self.folder).await?;
        let timeline = |name: String| u32::from_str_radix(name.strip_suffix(HISTORY)?, 16).ok();
        Ok(names.into_iter().filter_map(timeline).collect())
    }

    /// A file of it; none: it is not there.
    async fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let names = list(self.place, &self.folder).await?;
        if !names.iter().any(|there| there == name) {
            return Ok(None);
        }
        let path = PathBuf::from(&self.folder).join(name);
        ask(self.place, "repo-get", &[], &path.display().to_string())
            .await
            .map(Some)
    }
}

/// What is in a folder of the repository.
async fn list(place: &Place, folder: &str) -> Result<Vec<String>, Trouble> {
    let told = ask(place, "repo-ls", &["--output=json".to_owned()], folder).await?;
    let told: BTreeMap<String, serde::de::IgnoredAny> =
        serde_json::from_slice(&told).map_err(|error| {
            Trouble(format!(
                "unable to list {folder} in the repository: what pgBackRest says is odd: {error}"
            ))
        })?;
    Ok(told.into_keys().collect())
}

async fn ask(
    place: &Place,
    command: &str,
    options: &[String],
    path: &str,
) -> Result<Vec<u8>, Trouble> {
    let mut words = place.call(command, options);
    words.push(path.to_owned());
    let what = "read the timelines in the repository of the backups";
    place.ask(what, &words, LOOK_MAX).await
}

#[cfg(test)]
mod tests {
    use super::super::repository::Kind;
    use super::*;

    fn made(timeline: u32, log_end: Option<u64>) -> Made {
        Made {
            label: String::new(),
            kind: Kind::Full,
            began_unix_s: 0,
            ended_unix_s: 0,
            size_bytes: 0,
            stored_bytes: 0,
            is_damaged: false,
            timeline,
            log_end,
        }
    }

    #[test]
    fn a_backup_of_an_earlier_timeline_counts_if_it_ended_before_the_fork() {
        let descent = Descent {
            timeline: 4,
            forks: vec![(1, 100), (3, 200)],
        };
        for (timeline, end, has) in [
            (4, None, true),
            (3, Some(200), true),
            (3, Some(201), false),
            (2, Some(1), false),
            (1, Some(100), true),
            (1, Some(150), false),
            (1, None, false),
            (5, Some(1), false),
        ] {
            assert_eq!(descent.has(&made(timeline, end)), has, "{timeline} {end:?}");
        }
    }

    #[test]
    fn a_log_that_goes_on_past_the_fork_on_the_wrong_side_is_noticed() {
        let descent = Descent {
            timeline: 2,
            forks: vec![(1, 100)],
        };
        let from = made(1, Some(50));
        assert!(descent.was_missed(&from, 100, &[1].into()));
        assert!(!descent.was_missed(&from, 99, &[1].into()));
        assert!(!descent.was_missed(&from, 500, &[1, 2].into()));
        assert!(!descent.was_missed(&made(2, None), 500, &[].into()));
    }

    #[test]
    fn the_plans_timeline_is_taken_and_a_newer_one_is_not() {
        let there: BTreeSet<u32> = [1, 2, 7].into();
        let chosen = choice(None, Some(2), &there);
        assert_eq!(
            chosen,
            Choice::Leading {
                timeline: 2,
                newest: 7
            }
        );
        assert_eq!(choice(Some(7), Some(2), &there), Choice::Asked(7));
        let nobody_knows = Choice::Newest {
            timeline: 7,
            is_only: false,
        };
        assert_eq!(choice(None, None, &there), nobody_knows);
        assert_eq!(choice(None, None, &BTreeSet::new()).timeline(), 1);
    }
}
