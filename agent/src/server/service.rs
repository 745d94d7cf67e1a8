//! The calls of the API, each in a few lines: admit, ask, translate.

use std::pin::Pin;
use std::sync::Arc;

use hanse_client::convert;
use hanse_client::proto::{self, api_server::Api};
use hanse_client::refusal;
use hanse_core::admission::RefusalKind;
use hanse_core::command;
use hanse_core::finding::{Finding, Path};
use hanse_core::object::ObjectRef;
use prost::Message as _;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::authorize::Call;
use super::forward::{self, Route};
use super::session::Session;
use super::voter::{Voter, invalid};
use super::{
    audit, authority, backup, dr, enroll, events, follow, issue, node, past, snapshot, user, vote,
};

/// The largest report that is kept for a node.
const REPORT_LENGTH_MAX: usize = 1 << 20;

/// The API of a voter.
pub(super) struct Service(pub(super) Arc<Voter>);

#[tonic::async_trait]
impl Api for Service {
    async fn apply(
        &self,
        request: Request<proto::ApplyRequest>,
    ) -> Result<Response<proto::ApplyResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::Apply).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.apply(request).await,
        };
        let empty = proto::Object { kind: None };
        let object = convert::object_from_proto(request.object.as_ref().unwrap_or(&empty))
            .map_err(|findings| refusal::to_status(RefusalKind::Invalid, &findings))?;
        let reference = object.reference();
        let expected_revision = request.expected_revision;
        let boxes = dr::seal_secrets(&self.0, &object, request.secrets)?;
        let change = command::Request::Apply {
            object,
            expected_revision,
            boxes,
        };
        let name = reference.to_string();
        let committed = self
            .0
            .propose(&caller, Call::Apply, &name, &request.request_id, change)
            .await?;
        let stored = committed.state.inventory().get(&reference);
        let stored = stored.ok_or_else(|| not_found(&reference))?;
        Ok(Response::new(proto::ApplyResponse {
            stored: Some(convert::stored_to_proto(&stored)),
            revision: committed.revision,
            warnings: committed
                .warnings
                .iter()
                .map(convert::finding_to_proto)
                .collect(),
        }))
    }

    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let (_, request) = match forward::route(&self.0, request, Call::Get).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.get(request).await,
        };
        let reference = read_reference(request.reference)?;
        let stored = self.0.confirmed().await?.inventory().get(&reference);
        let stored = stored.ok_or_else(|| not_found(&reference))?;
        Ok(Response::new(proto::GetResponse {
            stored: Some(convert::stored_to_proto(&stored)),
        }))
    }

    async fn list(
        &self,
        request: Request<proto::ListRequest>,
    ) -> Result<Response<proto::ListResponse>, Status> {
        let (_, request) = match forward::route(&self.0, request, Call::List).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.list(request).await,
        };
        let kind = request.kind();
        let state = self.0.confirmed().await?;
        let inventory = state.inventory();
        let stored = inventory
            .references()
            .filter(|reference| kind_of(reference) == kind)
            .filter_map(|reference| inventory.get(&reference))
            .map(|stored| convert::stored_to_proto(&stored))
            .collect();
        Ok(Response::new(proto::ListResponse { stored }))
    }

    async fn delete(
        &self,
        request: Request<proto::DeleteRequest>,
    ) -> Result<Response<proto::DeleteResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::Delete).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.delete(request).await,
        };
        let reference = read_reference(request.reference)?;
        let name = reference.to_string();
        let expected_revision = request.expected_revision;
        let change = command::Request::Delete {
            reference,
            expected_revision,
        };
        let committed = self
            .0
            .propose(&caller, Call::Delete, &name, &request.request_id, change)
            .await?;
        Ok(Response::new(proto::DeleteResponse {
            revision: committed.revision,
        }))
    }

    async fn snapshot(
        &self,
        request: Request<proto::SnapshotRequest>,
    ) -> Result<Response<proto::SnapshotResponse>, Status> {
        let (_, request) = match forward::route(&self.0, request, Call::Snapshot).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.snapshot(request).await,
        };
        snapshot::snapshot(&self.0, request)
            .await
            .map(Response::new)
    }

    type FollowStream = Pin<Box<dyn Stream<Item = Result<proto::FollowEvent, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<proto::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let caller = self.0.admit(&request, Call::Follow).await?;
        let node = enroll::calling_node(&caller)?;
        let session = request.extensions().get::<Session>().cloned();
        let stream = follow::follow(self.0.clone(), node, session, request.into_inner());
        Ok(Response::new(Box::pin(stream)))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<proto::EventsResponse, Status>> + Send>>;

    async fn events(
        &self,
        request: Request<proto::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        self.0.admit(&request, Call::Events).await?;
        let stream = events::events(self.0.clone(), request.into_inner());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn report(
        &self,
        request: Request<proto::ReportRequest>,
    ) -> Result<Response<proto::ReportResponse>, Status> {
        let mut request = request;
        // Its own agent reports for this voter: whose streams it holds is the voter's to say.
        if self.0.is_own(&request)
            && let Some(status) = &mut request.get_mut().status
        {
            let streams = self.0.streams.nodes();
            status.followers = streams.iter().map(ToString::to_string).collect();
        }
        let (caller, request) = match forward::route(&self.0, request, Call::Report).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.report(request).await,
        };
        let node = enroll::calling_node(&caller)?;
        let mut status = request.status.unwrap_or_default();
        if status.encoded_len() > REPORT_LENGTH_MAX {
            let detail = format!("It may have {REPORT_LENGTH_MAX} bytes.");
            return Err(invalid(Path::of("status"), "Report too large", &detail));
        }
        let past_until_sequence = past::keep(&self.0, &caller, &node, &mut status).await;
        // A node whose keys can't be committed now is well all the same.
        let kept = enroll::keep_keys(&self.0, &caller, &node, &status).await;
        let state = self.0.replica.read();
        self.0.statuses.report(state.inventory(), node, status);
        kept?;
        let revision = state.revision();
        Ok(Response::new(proto::ReportResponse {
            revision,
            past_until_sequence,
        }))
    }

    async fn enroll(
        &self,
        request: Request<proto::EnrollRequest>,
    ) -> Result<Response<proto::EnrollResponse>, Status> {
        let renews = request.get_ref().token.is_empty();
        let call = if renews { Call::Renew } else { Call::Join };
        let (caller, request) = match forward::route(&self.0, request, call).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.enroll(request).await,
        };
        let response = if renews {
            enroll::renew(&self.0, &caller, &request).await?
        } else {
            enroll::join(&self.0, &caller, &request).await?
        };
        Ok(Response::new(response))
    }

    async fn issue(
        &self,
        request: Request<proto::IssueRequest>,
    ) -> Result<Response<proto::IssueResponse>, Status> {
        use proto::issue_request::Credential;
        let call = match &request.get_ref().credential {
            Some(Credential::User(_)) => Call::IssueUser,
            Some(Credential::Token(_)) | None => Call::IssueToken,
        };
        let (caller, request) = match forward::route(&self.0, request, call).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.issue(request).await,
        };
        let credential = match request.credential {
            Some(Credential::Token(wanted)) => issue::token(&self.0, &caller, &wanted).await?,
            Some(Credential::User(wanted)) => issue::user(&self.0, &caller, &wanted).await?,
            None => {
                let detail = "The message asks for no credential that is known here.";
                return Err(invalid(Path::root(), "Unknown credential", detail));
            }
        };
        Ok(Response::new(proto::IssueResponse {
            credential: Some(credential),
        }))
    }

    async fn revoke_node(
        &self,
        request: Request<proto::RevokeNodeRequest>,
    ) -> Result<Response<proto::RevokeNodeResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RevokeNode).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.revoke_node(request).await,
        };
        let response = node::revoke(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn remove_node(
        &self,
        request: Request<proto::RemoveNodeRequest>,
    ) -> Result<Response<proto::RemoveNodeResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RemoveNode).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.remove_node(request).await,
        };
        let response = node::remove(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn leave(
        &self,
        request: Request<proto::LeaveRequest>,
    ) -> Result<Response<proto::LeaveResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::Leave).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.leave(request).await,
        };
        let response = node::leave(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn revoke_user(
        &self,
        request: Request<proto::RevokeUserRequest>,
    ) -> Result<Response<proto::RevokeUserResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RevokeUser).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.revoke_user(request).await,
        };
        let response = user::revoke(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn rotate_authority(
        &self,
        request: Request<proto::RotateAuthorityRequest>,
    ) -> Result<Response<proto::RotateAuthorityResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RotateAuthority)
            .await?
        {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.rotate_authority(request).await,
        };
        let response = authority::rotate(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn add_voter(
        &self,
        request: Request<proto::AddVoterRequest>,
    ) -> Result<Response<proto::AddVoterResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::AddVoter).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.add_voter(request).await,
        };
        let response = vote::add(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn remove_voter(
        &self,
        request: Request<proto::RemoveVoterRequest>,
    ) -> Result<Response<proto::RemoveVoterResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RemoveVoter).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.remove_voter(request).await,
        };
        let response = vote::remove(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn report_copy(
        &self,
        request: Request<proto::ReportCopyRequest>,
    ) -> Result<Response<proto::ReportCopyResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::ReportCopy).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.report_copy(request).await,
        };
        let copies = dr::report(&self.0, &caller, request)?;
        Ok(Response::new(proto::ReportCopyResponse { copies }))
    }

    async fn renew_lease(
        &self,
        request: Request<proto::RenewLeaseRequest>,
    ) -> Result<Response<proto::RenewLeaseResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::Lease).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.renew_lease(request).await,
        };
        let response = dr::renew(&self.0, &caller, &request).await?;
        Ok(Response::new(response))
    }

    async fn release_lease(
        &self,
        request: Request<proto::ReleaseLeaseRequest>,
    ) -> Result<Response<proto::ReleaseLeaseResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::Lease).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.release_lease(request).await,
        };
        dr::release(&self.0, &caller, request).await?;
        Ok(Response::new(proto::ReleaseLeaseResponse {}))
    }

    async fn run_plan(
        &self,
        request: Request<proto::RunPlanRequest>,
    ) -> Result<Response<proto::RunPlanResponse>, Status> {
        let (caller, request) = match forward::route(&self.0, request, Call::RunPlan).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.run_plan(request).await,
        };
        let response = dr::run_plan(&self.0, &caller, request).await?;
        Ok(Response::new(response))
    }

    async fn plan_status(
        &self,
        request: Request<proto::PlanStatusRequest>,
    ) -> Result<Response<proto::PlanStatusResponse>, Status> {
        let (_, request) = match forward::route(&self.0, request, Call::PlanStatus).await? {
            Route::Here(caller, request) => (caller, request),
            Route::Leader(mut leader, request) => return leader.plan_status(request).await,
        };
        let response = dr::plan_status(&self.0, &request).await?;
        Ok(Response::new(response))
    }

    type BackupStream = Pin<Box<dyn Stream<Item = Result<proto::BackupChunk, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<proto::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let caller = match forward::route(&self.0, request, Call::Backup).await? {
            Route::Here(caller, _) => caller,
            Route::Leader(mut leader, request) => {
                let chunks = leader.backup(request).await?.into_inner();
                return Ok(Response::new(Box::pin(chunks)));
            }
        };
        let chunks = backup::backup(&self.0, &caller).await?;
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn audit(
        &self,
        request: Request<proto::AuditRequest>,
    ) -> Result<Response<proto::AuditResponse>, Status> {
        self.0.admit(&request, Call::Audit).await?;
        let response = audit::read(&self.0, request.into_inner()).await?;
        Ok(Response::new(response))
    }
}

fn read_reference(reference: Option<proto::ObjectRef>) -> Result<ObjectRef, Status> {
    convert::reference_from_proto(&reference.unwrap_or_default())
        .map_err(|findings| refusal::to_status(RefusalKind::Invalid, &findings))
}

fn kind_of(reference: &ObjectRef) -> proto::ObjectKind {
    convert::reference_to_proto(reference).kind()
}

fn not_found(reference: &ObjectRef) -> Status {
    let detail = format!("The {reference} is not declared.");
    let finding = Finding::error(Path::root(), "Not found", detail);
    refusal::to_status(RefusalKind::NotFound, &[finding])
}
