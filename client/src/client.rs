//! The calls of the federation's API, with the core's types on this side.
//!
//! Calls that carry a request id and calls that only read are repeated for a while when the
//! connection is lost or the voter can't serve just now: the id sees to it that nothing happens
//! twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use hanse_core::admission::RefusalKind;
use hanse_core::endpoint::Endpoint;
use hanse_core::finding::Finding;
use hanse_core::inventory::{Inventory, Stored};
use hanse_core::name::{ClusterName, FederationName, MeshName, NodeName};
use hanse_core::object::{Object, ObjectRef};
use prost::Message as _;
use tonic::{Status, Streaming};

use crate::clock::{Clock, WallClock};
use crate::connect::{self, MESSAGE_LIMIT_BYTES, Route, deepest, refused_from, unreachable_from};
use crate::convert;
use crate::credentials::Credentials;
use crate::environment;
use crate::error::ClientError;
use crate::fingerprint::Fingerprint;
use crate::patience::{PATIENCE_TO_CONNECT, Patience};
use crate::proto::snapshot_request::Peers;
use crate::proto::{self, ObjectKind};
use crate::refusal;
use crate::spiffe::Role;
use crate::tls;
use crate::ways::Ways;

/// A connection to a federation. Cheap to clone; it connects again by itself.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) ways: Arc<Ways>,
    pub(crate) patience: Patience,
}

/// What the federation answers to a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The object as it is stored.
    pub stored: Stored<Object>,
    /// The federation's revision that carries the change.
    pub revision: u64,
    /// What is worth saying.
    pub warnings: Vec<Finding>,
}

/// The whole of what is declared and known.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is declared and enrolled, for the rules of the core.
    pub inventory: Inventory,
    /// The same with statuses, as it came.
    pub response: proto::SnapshotResponse,
}

impl Client {
    /// Connects for somebody who waits for the answers: `patience` holds for this and for every call.
    pub async fn connect_attended(
        endpoints: &[Endpoint],
        credentials: &Credentials,
        patience: Patience,
    ) -> Result<Self, ClientError> {
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let tls = tls::client_config(credentials, clock.clone())
            .map_err(|error| ClientError::Configuration(error.to_string()))?;
        let first = patience.clone().with_limit(PATIENCE_TO_CONNECT);
        let mut waiting = first.begin(Duration::ZERO);
        let ways = loop {
            let route = connect::to_voters(endpoints.to_vec(), tls.clone(), true)?;
            let endpoint = route.endpoint();
            let opened = Ways::open(route, clock.clone());
            match waiting.during(&endpoint, opened).await {
                Ok(ways) => break ways,
                Err(error) => waiting.after(&endpoint, error).await?,
            }
        };
        let ways = Arc::new(ways);
        Ok(Self { ways, patience })
    }

    /// Connects to the first of these voters that answers.
    pub async fn connect(
        endpoints: &[Endpoint],
        credentials: &Credentials,
    ) -> Result<Self, ClientError> {
        Self::connect_by(endpoints, credentials, Arc::new(WallClock)).await
    }

    /// The same, by a clock of one's own: it judges the voters' certificates, and it learns the
    /// time from their answers.
    pub async fn connect_by(
        endpoints: &[Endpoint],
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let tls = tls::client_config(credentials, clock.clone())
            .map_err(|error| ClientError::Configuration(error.to_string()))?;
        let route = connect::to_voters(endpoints.to_vec(), tls, false)?;
        Self::over(route, clock).await
    }

    /// Connects without credentials to a voter of the federation whose authority is known by its
    /// fingerprint: all that a joiner has.
    pub async fn connect_pinned(
        endpoints: &[Endpoint],
        authority: Fingerprint,
        federation: &FederationName,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let tls = tls::joiner_config(authority, federation.clone(), clock.clone())
            .map_err(|error| ClientError::Configuration(error.to_string()))?;
        let route = connect::to_voters(endpoints.to_vec(), tls, false)?;
        Self::over(route, clock).await
    }

    /// Connects to the agent on this machine, as its owner.
    pub async fn connect_local(socket: &Path) -> Result<Self, ClientError> {
        Self::over(connect::to_local(socket), Arc::new(WallClock)).await
    }

    /// Connects as `HANSE_ENDPOINTS` and `HANSE_CREDENTIALS` say.
    pub async fn from_environment() -> Result<Self, ClientError> {
        let missing = |name: &str| ClientError::Configuration(format!("{name} is not set"));
        let endpoints =
            environment::endpoints()?.ok_or_else(|| missing(environment::ENDPOINTS_VARIABLE))?;
        let credentials = environment::credentials()?
            .ok_or_else(|| missing(environment::CREDENTIALS_VARIABLE))?;
        Self::connect(&endpoints, &credentials).await
    }

    /// Repeats calls for so long while the federation can't be reached; zero: never.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = self.patience.with_limit(patience);
        self
    }

    /// Has `listener` told what a call waits for, once it takes more than two seconds.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.patience = self.patience.telling(listener);
        self
    }

    /// Declares an object. `expected_revision` is the spec revision that the caller read; 0: the
    /// object must not exist.
    pub async fn apply(
        &self,
        object: &Object,
        expected_revision: u64,
        request_id: &str,
    ) -> Result<Applied, ClientError> {
        let no_secrets = Vec::new();
        self.apply_with(object, no_secrets, expected_revision, request_id)
            .await
    }

    /// Declares an object and gives the secrets that it needs. Those that the federation has already
    /// stay as they are: another secret has another version.
    pub async fn apply_with(
        &self,
        object: &Object,
        secrets: Vec<proto::PlanSecretValue>,
        expected_revision: u64,
        request_id: &str,
    ) -> Result<Applied, ClientError> {
        let request = proto::ApplyRequest {
            object: Some(convert::object_to_proto(object)),
            expected_revision,
            request_id: request_id.to_owned(),
            secrets,
        };
        // Checked here, since the transport would only say that the stream broke.
        let length = request.encoded_len();
        if length > MESSAGE_LIMIT_BYTES {
            let reason = format!("the {} has {length} bytes", object.reference());
            return Err(ClientError::TooLarge { reason });
        }
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.apply(request).await }
            })
            .await?;
        Ok(Applied {
            stored: stored(response.stored)?,
            revision: response.revision,
            warnings: response
                .warnings
                .iter()
                .map(convert::finding_from_proto)
                .collect(),
        })
    }

    /// The object as it is stored; none: it is not declared.
    pub async fn get(&self, reference: &ObjectRef) -> Result<Option<Stored<Object>>, ClientError> {
        let request = proto::GetRequest {
            reference: Some(convert::reference_to_proto(reference)),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.get(request).await }
            })
            .await;
        match response {
            Ok(response) => stored(response.stored).map(Some),
            Err(ClientError::Refused {
                kind: RefusalKind::NotFound,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every declared object of a kind.
    pub async fn list(&self, kind: ObjectKind) -> Result<Vec<Stored<Object>>, ClientError> {
        let request = proto::ListRequest { kind: kind.into() };
        let response = self
            .repeat(|mut api| async move { api.list(request).await })
            .await?;
        response
            .stored
            .into_iter()
            .map(|one| stored(Some(one)))
            .collect()
    }

    /// Deletes an object. `expected_revision` 0: whatever it is now. Yields the federation's
    /// revision that carries the change.
    pub async fn delete(
        &self,
        reference: &ObjectRef,
        expected_revision: u64,
        request_id: &str,
    ) -> Result<u64, ClientError> {
        let request = proto::DeleteRequest {
            reference: Some(convert::reference_to_proto(reference)),
            expected_revision,
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.delete(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// Everything that is declared and known but what nodes see of one another: at once if `version` is no longer `after_version`,
    /// else after a change or after `wait`.
    pub async fn snapshot(
        &self,
        after_version: u64,
        wait: Duration,
    ) -> Result<Snapshot, ClientError> {
        let request = proto::SnapshotRequest {
            after_version,
            wait_ms: milliseconds(wait),
            peers: Peers::None.into(),
            peers_mesh: String::new(),
        };
        self.read_snapshot(request).await
    }

    /// The same with what the nodes of one mesh see of one another, which can be a lot.
    pub async fn snapshot_of_mesh(
        &self,
        mesh: &MeshName,
        after_version: u64,
        wait: Duration,
    ) -> Result<Snapshot, ClientError> {
        let request = proto::SnapshotRequest {
            after_version,
            wait_ms: milliseconds(wait),
            peers: Peers::OfMesh.into(),
            peers_mesh: mesh.to_string(),
        };
        self.read_snapshot(request).await
    }

    /// A join token. Print it or hand it on; never log it.
    pub async fn issue_token(
        &self,
        member_cluster: &ClusterName,
        ttl: Duration,
        uses: u32,
        voter: bool,
    ) -> Result<String, ClientError> {
        let request = proto::TokenRequest {
            member_cluster: member_cluster.to_string(),
            ttl_s: ttl.as_secs(),
            uses,
            voter,
        };
        match self
            .issue(proto::issue_request::Credential::Token(request))
            .await?
        {
            proto::issue_response::Credential::Token(token) => Ok(token),
            proto::issue_response::Credential::User(_) => Err(other_answer("a token")),
        }
    }

    /// A user's certificate, and whom to trust, for a request that the caller made.
    pub async fn issue_user(
        &self,
        name: &NodeName,
        role: Role,
        ttl: Duration,
        certificate_request: Vec<u8>,
    ) -> Result<proto::UserCertificate, ClientError> {
        let request = proto::UserRequest {
            name: name.to_string(),
            role: role.to_string(),
            ttl_s: ttl.as_secs(),
            certificate_request,
        };
        match self
            .issue(proto::issue_request::Credential::User(request))
            .await?
        {
            proto::issue_response::Credential::User(user) => Ok(user),
            proto::issue_response::Credential::Token(_) => Err(other_answer("a certificate")),
        }
    }

    /// Enrols a node, with a token; or renews its certificate, without one.
    pub async fn enroll(
        &self,
        request: proto::EnrollRequest,
    ) -> Result<proto::EnrollResponse, ClientError> {
        self.repeat(|mut api| {
            let request = request.clone();
            async move { api.enroll(request).await }
        })
        .await
    }

    /// The caller's own plan, now and whenever it changes. Never repeated: the stream's end is the
    /// caller's to see.
    pub async fn follow(
        &self,
        request: proto::FollowRequest,
    ) -> Result<Streaming<proto::FollowEvent>, ClientError> {
        self.once(|mut api| async move { api.follow(request).await })
            .await
    }

    /// What happened since a revision, as far as it is remembered; then, if `follow`, what happens
    /// from now on. Never repeated: the stream's end is the caller's to see.
    pub async fn events(
        &self,
        from_revision: u64,
        follow: bool,
    ) -> Result<Streaming<proto::EventsResponse>, ClientError> {
        let request = proto::EventsRequest {
            from_revision,
            follow,
        };
        self.once(|mut api| async move { api.events(request).await })
            .await
    }

    /// Reports the caller's own status. Never repeated: the next report says more.
    pub async fn report(
        &self,
        status: proto::NodeStatus,
    ) -> Result<proto::ReportResponse, ClientError> {
        let request = proto::ReportRequest {
            status: Some(status),
        };
        self.once(|mut api| async move { api.report(request).await })
            .await
    }

    async fn read_snapshot(
        &self,
        request: proto::SnapshotRequest,
    ) -> Result<Snapshot, ClientError> {
        let expected = Duration::from_millis(request.wait_ms.into());
        let response = self
            .repeat_long(expected, |mut api| {
                let request = request.clone();
                async move { api.snapshot(request).await }
            })
            .await?;
        let inventory = convert::inventory_from_proto(&response).map_err(malformed)?;
        Ok(Snapshot {
            inventory,
            response,
        })
    }

    async fn over(route: Route, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let ways = Arc::new(Ways::open(route, clock).await?);
        let patience = Patience::default();
        Ok(Self { ways, patience })
    }

    async fn issue(
        &self,
        credential: proto::issue_request::Credential,
    ) -> Result<proto::issue_response::Credential, ClientError> {
        let request = proto::IssueRequest {
            credential: Some(credential),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.issue(request).await }
            })
            .await?;
        response
            .credential
            .ok_or_else(|| other_answer("a credential"))
    }
}

/// A new request id: one for each intent, the same for each repetition.
pub fn request_id() -> Result<String, ClientError> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| {
        ClientError::Configuration("the system's random generator failed".to_owned())
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a failed call means, whether the voter answered or the transport broke.
#[must_use]
pub fn failure(status: &Status) -> ClientError {
    // A status with a source never crossed the wire: it was made here.
    match std::error::Error::source(status) {
        Some(source) => unreachable_from(source)
            .or_else(|| refused_from(source))
            .unwrap_or_else(|| ClientError::Interrupted {
                reason: deepest(source),
            }),
        None => refusal::from_status(status),
    }
}

fn milliseconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

fn stored(stored: Option<proto::StoredObject>) -> Result<Stored<Object>, ClientError> {
    let stored = stored.ok_or_else(|| other_answer("an object"))?;
    convert::stored_from_proto(&stored).map_err(malformed)
}

fn malformed(findings: Vec<Finding>) -> ClientError {
    let reason = findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    ClientError::Malformed { reason }
}

fn other_answer(expected: &str) -> ClientError {
    ClientError::Malformed {
        reason: format!("{expected} was expected"),
    }
}
