//! How a guard does what was decided. Nothing here waits: whatever takes time is a task, and its end
//! an event.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::carrier::Carrier;
use crate::keeping::{Keeping, Told};
use crate::machine::Command;
use crate::order::Program;
use crate::seams::{Renewal, RenewalError, Unanswered};
use crate::service::{Event, Service};
use crate::store::{self, Back};

/// A server that takes longer does not answer.
const OBSERVATION_MAX: Duration = Duration::from_millis(1500);

impl Service {
    pub(super) fn execute(
        &mut self,
        command: Command,
        carrier: &Carrier,
        observer: &mpsc::UnboundedSender<u64>,
    ) {
        match command {
            Command::Start {
                start,
                program,
                at_ms,
            } => self.start(start, &program, at_ms),
            Command::Arm { at_ms } => self.keep(|keeping| keeping.arm(at_ms)),
            Command::Ask(signal) => {
                tracing::info!("stopping the workload");
                self.end(carrier, move |keeping| keeping.stop(signal));
            }
            Command::Kill => {
                let why = self.machine.killed_because();
                tracing::warn!(why, "ending the workload");
                self.end(carrier, Keeping::kill);
            }
            Command::Renew(renewal) => self.renew(renewal),
            Command::GiveBack { epoch } => self.give_back(epoch),
            Command::Observe { start } => {
                let _ = observer.send(start);
            }
        }
    }

    fn start(&mut self, start: u64, program: &Program, at_ms: Option<u64>) {
        tracing::info!(start, "starting the workload");
        let events = self.events.clone();
        let tell = move |told| {
            let _ = events.send(Event::Told(start, told));
        };
        let (keeper, stage) = (&self.config.keeper, &self.config.stage);
        match Keeping::start(keeper, stage, program, at_ms, tell) {
            Ok(keeping) => self.keeping = Some((start, keeping)),
            Err(error) => {
                let how = error.sentence();
                let _ = self.events.send(Event::Told(start, Told::Ended { how }));
            }
        }
    }

    /// Does something to what runs once no client is led to it, or soon.
    fn end(&self, carrier: &Carrier, how: impl FnOnce(&Keeping) + Send + 'static) {
        let Some((_, keeping)) = self.keeping.clone() else {
            return;
        };
        if !carrier.is_here() {
            how(&keeping);
            return;
        }
        let gone = carrier.gone();
        tokio::spawn(async move {
            gone.await;
            how(&keeping);
        });
    }

    pub(super) fn keep(&self, what: impl FnOnce(&Keeping)) {
        if let Some((_, keeping)) = &self.keeping {
            what(keeping);
        }
    }

    fn renew(&mut self, renewal: Renewal) {
        let (federation, events) = (self.federation.clone(), self.events.clone());
        let sent = self.clock.boot();
        tokio::spawn(async move {
            let (epoch, answer_max) = (renewal.epoch, renewal.answer_max);
            let unanswered = |_| {
                Err(RenewalError::Unanswered(format!(
                    "no answer within {answer_max:?}"
                )))
            };
            let result = timeout(answer_max, federation.renew(renewal)).await;
            let _ = events.send(Event::Renewed {
                epoch,
                sent,
                result: result.unwrap_or_else(unanswered),
            });
        });
    }

    fn give_back(&mut self, epoch: u64) {
        if let Some(earlier) = self.giving_back.take() {
            earlier.abort();
        }
        let (federation, events) = (self.federation.clone(), self.events.clone());
        let path = self.store.back_path();
        let task = tokio::spawn(async move {
            // On the disk before anybody else may have it: no later guard goes on under it.
            let is_known = false;
            let note = move || store::note_back(&path, Back { epoch, is_known });
            let result = match tokio::task::spawn_blocking(note).await {
                Ok(Ok(())) => federation.give_back(epoch).await,
                Ok(Err(error)) => Err(RenewalError::Unanswered(error.sentence())),
                Err(error) => Err(RenewalError::Unanswered(error.to_string())),
            };
            let _ = events.send(Event::WentBack(epoch, result));
        });
        self.giving_back = Some(task.abort_handle());
    }

    /// Asks the server, one question at a time.
    pub(super) fn observer(&mut self) -> mpsc::UnboundedSender<u64> {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let events = self.events.clone();
        if let Some(mut watch) = self.watch.take() {
            tokio::spawn(async move {
                while let Some(start) = asked.recv().await {
                    let observed = timeout(OBSERVATION_MAX, watch.observe()).await;
                    let observed = observed.unwrap_or(Err(Unanswered::Silent));
                    if events.send(Event::Observed(start, observed)).is_err() {
                        return;
                    }
                }
            });
        }
        questions
    }
}
