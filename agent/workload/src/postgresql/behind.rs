//! Whether a copy that receives nothing can go on by itself: a primary keeps its log only for so long.
//!
//! Never: a copy that counts as cut off while its primary has what it needs next, or while an archive
//! that its server reads may still bring that.

use std::time::{Duration, Instant};

use hanse_core::dr::duty::Duty;

use super::decide::Course;
use super::keeper::{Here, Keeper};
use super::log_files::hole;
use super::{Answer, Control, State};
use crate::process::Run;

/// Most that stand still go on before that.
const STANDS_MIN: Duration = Duration::from_secs(5);
/// How soon a primary that did not answer, or had everything, is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a server's archive has to bring what its primary lacks.
const ARCHIVE_MAX: Duration = Duration::from_secs(600);

/// What is told of a copy that is cut off.
pub(super) const CUT_OFF: &str = "its primary no longer has the log that this copy needs next, so it \
    is copied anew by itself: to have the log kept for longer, set a larger max_slot_wal_keep_size in \
    the primary's postgresql.conf";

/// Where a copy is that follows a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    offset_bytes: u64,
    /// It has gone through all that is here, and nobody sends more.
    lacks: bool,
}

/// What is remembered of a copy that does not move.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// The lease of the primary that it is to follow.
    epoch: u64,
    stands: Option<Stands>,
}

#[derive(Debug)]
struct Stands {
    at: u64,
    since: Instant,
    asked: Option<Instant>,
    /// From when on nobody brings what it needs.
    cut_off: Option<Instant>,
}

impl Keeper {
    /// Whether a copy that is to follow can go on by itself.
    pub(super) fn course(
        &mut self,
        at: &Here,
        process: &Run,
        (answer, control): (Option<&Answer>, Option<&Control>),
    ) -> Course {
        let Duty::Follow { epoch, .. } = &at.plan.duty else {
            return Course::Open;
        };
        let place = match (answer, control) {
            (Some(answer), _) => (!answer.writes).then_some(Place {
                offset_bytes: answer.offset_bytes,
                lacks: answer.waits_for_log,
            }),
            // One that lacks some of its log before it gets to where it was lets nobody in.
            (None, Some(control))
                if *process == Run::Running && control.state == State::Running =>
            {
                let hole = hole(&at.server.data.join("pg_wal"), control);
                hole.map(|offset_bytes| Place {
                    offset_bytes,
                    lacks: true,
                })
            }
            (None, _) => None,
        };
        self.behind.look(*epoch, place, Instant::now())
    }
}

impl Behind {
    /// A copy that is to follow under a lease is somewhere; `None`: it doesn't tell now. Yields whether it
    /// can go on.
    fn look(&mut self, epoch: u64, place: Option<Place>, now: Instant) -> Course {
        if self.epoch != epoch {
            *self = Self {
                epoch,
                stands: None,
            };
        }
        if let Some(Place { offset_bytes, .. }) = place
            && self.stands.as_ref().is_none_or(|it| it.at != offset_bytes)
        {
            self.stands = Some(Stands::begin(offset_bytes, now));
        }
        let Some(stands) = &self.stands else {
            return Course::Open;
        };
        if stands.cut_off.is_some_and(|at| now >= at) {
            return Course::CutOff;
        }
        let lacks = place.is_some_and(|place| place.lacks);
        match lacks && stands.is_due(now) {
            true => Course::Stands { place: stands.at },
            false => Course::Open,
        }
    }

    /// Its primary is asked.
    pub(super) fn asks(&mut self, now: Instant) {
        if let Some(stands) = &mut self.stands {
            stands.asked = Some(now);
        }
    }

    /// Its primary, which leads under this lease, lacks the log from a place on.
    pub(super) fn lacks(&mut self, (epoch, at): (u64, u64), has_archive: bool, now: Instant) {
        let patience = match has_archive {
            true => ARCHIVE_MAX,
            false => Duration::ZERO,
        };
        self.epoch = epoch;
        let stands = self.stands.take().filter(|stands| stands.at == at);
        let mut stands = stands.unwrap_or_else(|| Stands::begin(at, now));
        stands.cut_off = Some(now + patience);
        self.stands = Some(stands);
    }
}

impl Stands {
    fn begin(at: u64, now: Instant) -> Self {
        Self {
            at,
            since: now,
            asked: None,
            cut_off: None,
        }
    }

    /// Whether it is time to ask its primary.
    fn is_due(&self, now: Instant) -> bool {
        let is_again = |asked: Instant| now.saturating_duration_since(asked) >= AGAIN;
        self.cut_off.is_none()
            && now.saturating_duration_since(self.since) >= STANDS_MIN
            && self.asked.is_none_or(is_again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LACKS: Place = Place {
        offset_bytes: 90,
        lacks: true,
    };
    const STANDS: Course = Course::Stands { place: 90 };

    /// A copy that has stood still from second 0 on, and what a second of its own is.
    fn standing() -> (Behind, impl Fn(u64) -> Instant) {
        let begin = Instant::now();
        let at = move |s| begin + Duration::from_secs(s);
        let mut behind = Behind::default();
        assert_eq!(behind.look(7, Some(LACKS), at(0)), Course::Open);
        (behind, at)
    }

    #[test]
    fn a_copy_that_stands_still_has_its_primary_asked_now_and_then() {
        let (mut behind, at) = standing();
        assert_eq!(behind.look(7, Some(LACKS), at(4)), Course::Open);
        assert_eq!(behind.look(7, Some(LACKS), at(5)), STANDS);
        behind.asks(at(5));
        assert_eq!(behind.look(7, Some(LACKS), at(14)), Course::Open);
        assert_eq!(behind.look(7, Some(LACKS), at(15)), STANDS);
    }

    #[test]
    fn a_copy_that_moves_or_receives_or_has_more_to_go_through_has_nobody_asked() {
        let receives = Place {
            lacks: false,
            ..LACKS
        };
        let further = Place {
            offset_bytes: 91,
            ..LACKS
        };
        let (mut behind, at) = standing();
        assert_eq!(behind.look(7, Some(receives), at(60)), Course::Open);
        assert_eq!(behind.look(7, None, at(60)), Course::Open);
        assert_eq!(behind.look(7, Some(further), at(60)), Course::Open);
        assert_eq!(behind.look(7, Some(further), at(64)), Course::Open);
    }

    #[test]
    fn a_copy_whose_primary_lacks_what_it_needs_is_cut_off_until_it_is_made_anew() {
        let (mut behind, at) = standing();
        behind.lacks((7, 90), false, at(6));
        assert_eq!(behind.look(7, Some(LACKS), at(6)), Course::CutOff);
        assert_eq!(behind.look(7, None, at(7)), Course::CutOff, "it stopped");
        assert_eq!(behind.look(9, None, at(8)), Course::Open, "another primary");
    }

    #[test]
    fn an_archive_has_its_time_to_bring_what_a_primary_lacks() {
        let (mut behind, at) = standing();
        behind.lacks((7, 90), true, at(6));
        assert_eq!(behind.look(7, Some(LACKS), at(605)), Course::Open);
        assert_eq!(behind.look(7, Some(LACKS), at(606)), Course::CutOff);
        let brought = Place {
            offset_bytes: 99,
            ..LACKS
        };
        assert_eq!(behind.look(7, Some(brought), at(607)), Course::Open);
    }

    #[test]
    fn what_is_said_stands_on_the_page_of_errors() {
        let page = include_str!("../../../../docs/dr-errors.md");
        assert!(page.contains(&format!("| {CUT_OFF} |")), "{CUT_OFF}");
    }
}
