//! How far behind its primary a standby is as time.
//!
//! Never: a lag that grows while the primary writes nothing and all that it wrote is here.

use std::time::Instant;

use super::observe::Replayed;

/// What is remembered of a standby that may lag.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// When it was seen last with all that its primary had.
    had_all: Option<Instant>,
}

impl Lag {
    /// By how many seconds it lags at most; none: nobody can tell.
    pub(super) fn seconds(&mut self, replayed: Replayed, now: Instant) -> Option<u64> {
        if replayed.is_all {
            self.had_all = Some(now);
            return Some(0);
        }
        // An old commit may be the last that there was, and what it had all of then is no older.
        let since = |at: Instant| now.saturating_duration_since(at).as_secs();
        let ages = [self.had_all.map(since), replayed.age_s];
        ages.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_standby_lags_since_its_last_commit_and_no_longer_than_since_it_had_all() {
        let begin = Instant::now();
        let mut lag = Lag::default();
        let mut after = |s, is_all, age_s| {
            let replayed = Replayed { is_all, age_s };
            lag.seconds(replayed, begin + Duration::from_secs(s))
        };
        assert_eq!(after(0, false, None), None, "nobody knows");
        assert_eq!(after(1, false, Some(90)), Some(90), "its last commit");
        assert_eq!(after(2, true, Some(91)), Some(0), "it was the last one");
        assert_eq!(after(3, true, None), Some(0));
        assert_eq!(after(60, false, Some(149)), Some(57), "cut off while idle");
        assert_eq!(after(70, false, Some(4)), Some(4), "it catches up");
    }
}
