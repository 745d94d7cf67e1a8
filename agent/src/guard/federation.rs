//! The federation's part of a lease, over several connections at once: a voter that is gone, or slow,
//! keeps the guard from no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hanse_client::client::request_id;
use hanse_core::name::PlanName;
use hanse_guard::{Federation, Renewal, RenewalError};
use tokio::time::timeout;

use super::line::Line;
use crate::data::DataFolder;

/// So many voters are asked in turn.
const LINES: usize = 2;
/// How long one question may take; the next one is asked elsewhere long before.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The voters, as a guard asks them.
pub(super) struct Voters {
    plan: PlanName,
    lines: Vec<Line>,
    next: AtomicUsize,
}

impl Voters {
    /// Connects to voters, and again whenever a connection is lost.
    pub(super) fn start(folder: &DataFolder, plan: PlanName) -> anyhow::Result<Self> {
        let lines: anyhow::Result<_> = (0..LINES).map(|place| Line::start(folder, place)).collect();
        Ok(Self {
            plan,
            lines: lines?,
            next: AtomicUsize::new(0),
        })
    }

    /// The line that is to be asked: the one that answered last, or another.
    fn line(&self) -> &Line {
        let place = self.next.load(Ordering::Relaxed);
        &self.lines[place % self.lines.len()]
    }

    /// The next question goes elsewhere.
    fn turn_away(&self) {
        self.next.fetch_add(1, Ordering::Relaxed);
    }
}

/// Until it is put down, a question that is given up counts as one without an answer.
struct Asked<'a>(Option<&'a Voters>);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(voters) = self.0 {
            voters.turn_away();
        }
    }
}

#[async_trait]
impl Federation for Voters {
    async fn renew(&self, renewal: Renewal) -> Result<Duration, RenewalError> {
        let mut asked = Asked(Some(self));
        let line = self.line();
        let client = line.client().map_err(RenewalError::Unanswered)?;
        let offset_bytes = renewal
            .observed
            .as_ref()
            .map(|observed| observed.offset_bytes);
        let answer = client.renew_lease(&self.plan, renewal.epoch, offset_bytes);
        let reason = match timeout(ANSWER_MAX, answer).await {
            Ok(Ok(renewed)) => {
                asked.0 = None;
                return renewed.ok_or(RenewalError::Lost);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        line.is_broken();
        Err(RenewalError::Unanswered(reason))
    }

    async fn give_back(&self, epoch: u64) -> Result<(), RenewalError> {
        let mut asked = Asked(Some(self));
        let line = self.line();
        let client = line.client().map_err(RenewalError::Unanswered)?;
        let id = request_id().map_err(|error| RenewalError::Unanswered(error.to_string()))?;
        let reason = match timeout(ANSWER_MAX, client.release_lease(&self.plan, epoch, &id)).await {
            Ok(Ok(())) => {
                asked.0 = None;
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        line.is_broken();
        Err(RenewalError::Unanswered(reason))
    }
}
