//! Calls about DR plans: from operators, from the nodes that have copies, and from guards.

use std::time::Duration;

use hanse_core::admission::RefusalKind;
use hanse_core::name::PlanName;

use crate::client::Client;
use crate::error::ClientError;
use crate::proto::{self, run_plan_request::Ask};

/// What comes of asking for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// It lasts so long from before the question.
    Lasts(Duration),
    /// It is another's, for ever.
    Lost,
    /// Its plan is not declared any more.
    NoPlan,
}

impl Client {
    /// Asks something of a plan. Yields the federation's revision that carries it.
    pub async fn run_plan(
        &self,
        plan: &PlanName,
        ask: Ask,
        request_id: &str,
    ) -> Result<u64, ClientError> {
        let request = proto::RunPlanRequest {
            plan: plan.to_string(),
            ask: Some(ask),
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.run_plan(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// How the plans are, or one of them: at once if `version` is no longer `after_version`, else
    /// after a change or after `wait`.
    pub async fn plan_status(
        &self,
        plan: Option<&PlanName>,
        after_version: u64,
        wait: Duration,
    ) -> Result<proto::PlanStatusResponse, ClientError> {
        let request = proto::PlanStatusRequest {
            plan: plan.map(ToString::to_string).unwrap_or_default(),
            after_version,
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            with_reports: false,
        };
        self.repeat_long(wait, |mut api| {
            let request = request.clone();
            async move { api.plan_status(request).await }
        })
        .await
    }

    /// How one plan is now, with what nodes said of its drills.
    pub async fn plan_with_reports(
        &self,
        plan: &PlanName,
    ) -> Result<Option<proto::PlanStatus>, ClientError> {
        let request = proto::PlanStatusRequest {
            plan: plan.to_string(),
            with_reports: true,
            ..Default::default()
        };
        let answer = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.plan_status(request).await }
            })
            .await?;
        Ok(answer.plans.into_iter().next())
    }

    /// Tells what a copy of the caller's is and what of a drill beside it, and of which revision what it
    /// knows of its plan is. Yields what all of its copies have to be, if that is newer. Never repeated:
    /// the next one says more.
    pub async fn report_copy(
        &self,
        status: proto::CopyStatus,
        drill: Option<proto::DrillStatus>,
        heard_revision: u64,
    ) -> Result<Option<proto::CopyPlans>, ClientError> {
        let request = proto::ReportCopyRequest {
            status: Some(status),
            heard_revision,
            drill,
        };
        self.once_elsewhere(|mut api| async move { api.report_copy(request).await })
            .await
            .map(|response| response.copies)
    }

    /// Renews the lease of a plan whose primary is the caller's: it lasts so long from before this
    /// was called. Never repeated: that is the guard's to decide.
    pub async fn renew_lease(
        &self,
        plan: &PlanName,
        epoch: u64,
        offset_bytes: Option<u64>,
    ) -> Result<Renewed, ClientError> {
        let request = proto::RenewLeaseRequest {
            plan: plan.to_string(),
            epoch,
            offset_bytes,
        };
        let answered = self
            .once_elsewhere(|mut api| async move { api.renew_lease(request).await })
            .await;
        match answered {
            Ok(response) => Ok(Renewed::Lasts(Duration::from_millis(response.ttl_ms))),
            Err(ClientError::Refused {
                kind: RefusalKind::Conflict,
                ..
            }) => Ok(Renewed::Lost),
            Err(ClientError::Refused {
                kind: RefusalKind::NotFound,
                ..
            }) => Ok(Renewed::NoPlan),
            Err(error) => Err(error),
        }
    }

    /// Gives a lease back: nothing runs under it any more.
    pub async fn release_lease(
        &self,
        plan: &PlanName,
        epoch: u64,
        request_id: &str,
    ) -> Result<(), ClientError> {
        let request = proto::ReleaseLeaseRequest {
            plan: plan.to_string(),
            epoch,
            request_id: request_id.to_owned(),
        };
        self.repeat(|mut api| {
            let request = request.clone();
            async move { api.release_lease(request).await }
        })
        .await
        .map(|_| ())
    }
}
