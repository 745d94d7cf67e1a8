//! What is told of a copy for people alone: nothing is decided from it.

use std::time::Instant;

use super::behind::CUT_OFF;
use super::decide::Course;
use super::keeper::{Here, Keeper};
use super::lag::Lag;
use super::look::Look;

impl Keeper {
    /// What somebody should know of, although nothing is wrong with the copy.
    pub(super) fn warnings(&mut self, at: &Here, look: &Look) -> Vec<String> {
        let mut warnings = Vec::new();
        if look.course == Course::CutOff {
            warnings.push(CUT_OFF.to_owned());
        }
        let configuration = look.configuration.as_ref();
        warnings.extend(configuration.and_then(|it| it.listens_elsewhere.clone()));
        let folder = &at.server.setup.folder;
        let kept = self.kept_aside.sentences(folder, Instant::now());
        warnings.extend_from_slice(kept);
        warnings
    }

    /// By how many seconds a standby lags at most; none: it is none, or nobody can tell.
    pub(super) fn lag_s(&mut self, look: &Look) -> Option<u64> {
        let answer = look.answer.as_ref()?;
        if answer.writes {
            self.lag = Lag::default();
            return None;
        }
        self.lag.seconds(answer.replayed, Instant::now())
    }
}
