//! The federation's part of a lease.

use std::time::Duration;

use async_trait::async_trait;
use hanse_client::Renewed;
use hanse_client::client::request_id;
use hanse_core::name::PlanName;
use hanse_guard::{Federation, Renewal, RenewalError};
use tokio::time::timeout;

use crate::data::DataFolder;
use crate::follower::Lines;

/// How long giving a lease back may take, until it is tried again elsewhere.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The voters, as a guard asks them.
pub(super) struct Voters {
    plan: PlanName,
    lines: Lines,
}

impl Voters {
    /// Connects to voters, and again whenever a connection is lost.
    pub(super) fn start(folder: &DataFolder, plan: PlanName) -> anyhow::Result<Self> {
        let lines = Lines::start(folder)?;
        Ok(Self { plan, lines })
    }
}

#[async_trait]
impl Federation for Voters {
    async fn renew(&self, renewal: Renewal) -> Result<Duration, RenewalError> {
        let observed = renewal.observed.as_ref().filter(|observed| observed.writes);
        let offset_bytes = observed.map(|observed| observed.offset_bytes);
        let (plan, epoch) = (self.plan.clone(), renewal.epoch);
        let asked = self.lines.ask(|federation| async move {
            federation.renew_lease(&plan, epoch, offset_bytes).await
        });
        match asked.await {
            Ok(Renewed::Lasts(ttl)) => Ok(ttl),
            Ok(Renewed::Lost) => Err(RenewalError::Lost),
            Ok(Renewed::NoPlan) => Err(RenewalError::NoPlan),
            Err(reason) => Err(RenewalError::Unanswered(reason)),
        }
    }

    async fn give_back(&self, epoch: u64) -> Result<(), RenewalError> {
        let id = request_id().map_err(|error| RenewalError::Unanswered(error.to_string()))?;
        let plan = self.plan.clone();
        let asked = self
            .lines
            .ask(|federation| async move { federation.release_lease(&plan, epoch, &id).await });
        match timeout(ANSWER_MAX, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(RenewalError::Unanswered(reason)),
            Err(_) => Err(RenewalError::Unanswered("no answer".to_owned())),
        }
    }
}
