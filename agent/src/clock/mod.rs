//! Clocks: the only place of the agent that asks the system for the time of day where identity
//! depends on it.
//!
//! A voter goes by what the voters agree on, a follower by the last time that a voter told it over
//! an authenticated connection; both carry it on by the time since boot. The rules are
//! [`hanse_core::clock`]'s.

pub mod federation;
pub mod follower;
mod mark_file;

pub use federation::FederationClock;
pub use follower::FollowerClock;

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// From here on a difference is worth a complaint.
const COMPLAINT_MIN_MS: u64 = 5_000;

/// Milliseconds since 1970 by the system's clock, which anybody may set.
#[must_use]
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds since the machine started, sleep included.
#[must_use]
pub fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let milliseconds = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(milliseconds)
}

/// How far the system's clock is from the federation's time, in words, if that is far.
fn complaint(wall_ms: u64, federation_ms: u64) -> Option<String> {
    let apart_ms = wall_ms.abs_diff(federation_ms);
    let word = if wall_ms > federation_ms {
        "ahead of"
    } else {
        "behind"
    };
    (apart_ms >= COMPLAINT_MIN_MS).then(|| {
        format!(
            "this machine's clock is {} s {word} the federation's time, which goes on without it",
            apart_ms / 1000
        )
    })
}
