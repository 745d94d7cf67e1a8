//! Waiting for the state of another program.
//!
//! What happens in another process can't be awaited, only looked at again. All such looking is
//! done here, so that no test has a sleep of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// First pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Looks again and again until `look` finds something, and returns it.
///
/// `look` answers `Ok(None)` for "not yet". An error also means "not yet": programs that are just
/// starting refuse their callers. The last one is reported when the time is up.
///
/// # Errors
///
/// When `timeout` passes before `look` found anything; the message starts with `what`.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        let last_error = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= timeout {
            let waited = format!("{what}: not within {} s", timeout.as_secs_f32());
            match last_error {
                Some(error) => return Err(error).context(waited),
                None => bail!(waited),
            }
        }
        sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits until `look` says yes.
///
/// # Errors
///
/// As [`wait_until`].
pub fn wait_until_true(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<bool>,
) -> Result<()> {
    wait_until(what, timeout, || Ok(look()?.then_some(())))
}

/// Lets some time pass before a fault: its moment is drawn by lot, there is nothing to wait for.
pub fn pause_before_fault(pause: Duration) {
    sleep(pause);
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program's state has no event to wait for; this is the one place that polls"
)]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_returned() {
        let mut looks = 0;
        let found = wait_until("three looks", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn the_error_names_what_was_awaited_and_why_it_did_not_come() {
        let error =
            wait_until::<()>("the voter answers", Duration::ZERO, || bail!("refused")).unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.starts_with("the voter answers: not within"),
            "{message}"
        );
        assert!(message.ends_with("refused"), "{message}");
    }
}
