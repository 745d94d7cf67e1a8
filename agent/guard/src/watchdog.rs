//! The host's watchdog, as the loop holds it: opened beside the loop, fed by it and by nothing else,
//! so that a guard that doesn't turn feeds nothing.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::error::SendError;

use crate::seams::Watchdog;
use crate::service::Event;
use crate::vigil::Vigil;

/// What the kernel takes for "nobody needs it any more".
const FAREWELL: &[u8] = b"V";
/// What it takes for food: anything else.
const FOOD: &[u8] = b".";
/// How soon one that can't be opened is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What came of opening it.
pub(super) struct Opened {
    timeout_s: Option<u64>,
    result: Result<File, String>,
}

/// The watchdog.
pub(super) struct Dog {
    device: Arc<dyn Watchdog>,
    file: Option<File>,
    /// The time that it was opened for.
    timeout_s: Option<u64>,
    is_opening: bool,
    not_before: Duration,
    trouble: Option<String>,
}

impl Dog {
    pub(super) fn new(device: Arc<dyn Watchdog>) -> Self {
        Self {
            device,
            file: None,
            timeout_s: None,
            is_opening: false,
            not_before: Duration::ZERO,
            trouble: None,
        }
    }

    /// Makes it what it is to be.
    pub(super) fn attend(
        &mut self,
        vigil: Option<Vigil>,
        now: Duration,
        events: &UnboundedSender<Event>,
    ) {
        let Some(vigil) = vigil else {
            self.trouble = None;
            return self.close();
        };
        let is_other = vigil.timeout_s.is_some() && vigil.timeout_s != self.timeout_s;
        // One that is left to reset the host is not stopped any more.
        if self.file.is_some() && vigil.feeds {
            match is_other {
                true => self.close(),
                false => self.write(FOOD),
            }
        }
        // To open one feeds it.
        let is_due = vigil.feeds && !self.is_opening && now >= self.not_before;
        if self.file.is_none() && is_due {
            self.is_opening = true;
            let (device, events) = (self.device.clone(), events.clone());
            let timeout_s = vigil.timeout_s;
            tokio::task::spawn_blocking(move || {
                let result = device.open(timeout_s);
                let told = events.send(Event::Opened(Opened { timeout_s, result }));
                // The guard ended meanwhile, in good order.
                if let Err(SendError(Event::Opened(Opened {
                    result: Ok(mut file),
                    ..
                }))) = told
                {
                    let _ = file.write_all(FAREWELL);
                }
            });
        }
    }

    /// Takes what came of opening it.
    pub(super) fn opened(&mut self, opened: Opened, now: Duration) {
        self.is_opening = false;
        match opened.result {
            Ok(file) => {
                tracing::info!(timeout_s = opened.timeout_s, "the watchdog is set");
                (self.file, self.timeout_s) = (Some(file), opened.timeout_s);
                self.trouble = None;
            }
            Err(reason) => {
                if self.trouble.as_ref() != Some(&reason) {
                    tracing::warn!("{reason}");
                }
                self.trouble = Some(reason);
                self.not_before = now + RETRY;
            }
        }
    }

    /// Whether it resets the host once nobody feeds it.
    pub(super) fn is_set(&self) -> bool {
        self.file.is_some() && self.timeout_s.is_some()
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// It has to be fed several times in its own time.
    pub(super) fn turn_max(&self) -> Duration {
        match (&self.file, self.timeout_s) {
            (Some(_), Some(timeout_s)) => Duration::from_secs(timeout_s) / 4,
            (_, _) => Duration::MAX,
        }
    }

    fn close(&mut self) {
        if self.file.is_some() {
            self.write(FAREWELL);
            (self.file, self.timeout_s) = (None, None);
        }
    }

    fn write(&mut self, what: &[u8]) {
        let written = self.file.as_mut().map(|file| file.write_all(what));
        if let Some(Err(error)) = written {
            self.trouble = Some(format!("unable to feed the host's watchdog: {error}"));
            (self.file, self.timeout_s) = (None, None);
        }
    }
}
