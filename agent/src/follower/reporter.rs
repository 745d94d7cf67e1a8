//! Reports at intervals and on news, for as long as a connection lives.
//!
//! A report that fails for a reason that may pass is no reason to leave the voter: while the
//! federation elects a leader, a thousand followers would come back at once.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hanse_client::{Client, ClientError, Clock, Credentials, proto};
use hanse_dataplane::Observation;
use rand::Rng as _;
use tokio::sync::watch;

use super::backlog::{self, Backlog};
use super::capacity::{Gauge, Measurement};
use super::{capacity, report};

/// Observations that come together are reported together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long one report may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many reports in a row may fail before another voter is tried.
const FAILURES_MAX: u32 = 5;
/// The longest pause after a report that failed.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Reports at intervals and on news.
pub(super) struct Reporter {
    pub(super) client: Client,
    pub(super) observations: watch::Receiver<Observation>,
    pub(super) credentials: watch::Receiver<Arc<Credentials>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) intervals: watch::Receiver<Duration>,
    pub(super) backlog: Backlog,
    pub(super) complaint: watch::Receiver<Option<String>>,
    pub(super) gauge: Arc<Mutex<Option<Gauge>>>,
    pub(super) boot_id: String,
}

impl Reporter {
    /// Ends only with an error.
    pub(super) async fn run(mut self) -> ClientError {
        let mut failures = 0;
        loop {
            let observation = self.observations.borrow_and_update().clone();
            let measured = self.measure().await;
            let now = SystemTime::now();
            let breaches = measured.breaches.clone();
            let mut status = report::status(&observation, measured, &self.boot_id, now);
            let complaints = backlog::complaints(&observation, &breaches);
            self.backlog.fill(&mut status);
            status.problems.extend(self.clock.problem());
            let complaint = self.complaint.borrow_and_update().clone();
            status.problems.extend(complaint);
            status.trusted_authorities = report::trusted(&self.credentials.borrow_and_update());
            match self.report(status).await {
                Ok(told) => {
                    failures = 0;
                    if self.backlog.reported(complaints, told.past_until_sequence) {
                        continue;
                    }
                }
                Err(error) if error.is_transient() && failures < FAILURES_MAX => {
                    failures += 1;
                    tracing::debug!(%error, failures, "a report did not arrive");
                    let pause = RETRY_PAUSE_MAX.mul_f64(rand::rng().random_range(0.05..1.0));
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => return error,
            }
            let interval = *self.intervals.borrow_and_update();
            let deadline = tokio::time::sleep(interval);
            tokio::select! {
                () = deadline => {}
                Ok(()) = self.intervals.changed() => {}
                // Whom the node trusts is waited for.
                Ok(()) = self.credentials.changed() => {}
                Ok(()) = self.complaint.changed() => {}
                () = news(&mut self.observations, &observation) => {
                    tokio::time::sleep(DEBOUNCE).await;
                }
            }
        }
    }

    async fn report(
        &self,
        status: proto::NodeStatus,
    ) -> Result<proto::ReportResponse, ClientError> {
        let reported = tokio::time::timeout(TIMEOUT, self.client.report(status)).await;
        reported.unwrap_or_else(|_| {
            Err(ClientError::Interrupted {
                reason: format!("no answer within {} s", TIMEOUT.as_secs()),
            })
        })
    }

    async fn measure(&self) -> Measurement {
        let gauge = self.gauge.clone();
        let measured = tokio::task::spawn_blocking(move || {
            capacity::lock(&gauge).as_mut().map(Gauge::measure)
        });
        measured.await.ok().flatten().unwrap_or_default()
    }
}

/// Waits for an observation that is worth a report of its own.
async fn news(observations: &mut watch::Receiver<Observation>, told: &Observation) {
    let news = observations
        .wait_for(|seen| report::is_news(told, seen))
        .await
        .is_ok();
    if !news {
        // The data plane is gone: nothing new will come.
        pending::<()>().await;
    }
}
