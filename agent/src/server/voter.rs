//! What all calls share.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::{Credentials, proto, refusal};
use hanse_consensus::timing::Timing;
use hanse_core::admission::{Refusal, RefusalKind};
use hanse_core::authority::AuthorityRequest;
use hanse_core::command::Request;
use hanse_core::endpoint::Endpoint;
use hanse_core::finding::{Finding, Path};
use hanse_core::name::{FederationName, NodeName};
use hanse_core::secret::{PlanSecret, SealedSecret, SealingKey, SecretName};
use hanse_core::state::FederationState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::authority;
use super::authorize::{self, Call};
use super::caller::{Caller, Fault, Standing};
use super::dr;
use super::followers::Followers;
use super::forward;
use super::guard::Excuse;
use super::health;
use super::plans::{self, Frame};
use super::session::{Session, Sessions};
use super::statuses::Statuses;
use super::streams::Streams;
use crate::audit::{Audit, AuditError, Files, Outcome};
use crate::clock::FederationClock;
use crate::consensus::level::Levels;
use crate::consensus::{self, Committed, Network, ProposeError, Replica};
use crate::data::{DataFolder, Settings};
use crate::identity::{Keyring, KeyringError, Keys, SealingKeyPair, Trust};

/// The longest request id.
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// One voter of a federation.
#[derive(Debug)]
pub struct Voter {
    /// Its own node.
    pub node: NodeName,
    /// What time it is for the federation.
    pub clock: Arc<FederationClock>,
    /// The state.
    pub replica: Replica,
    /// The way to the other voters.
    pub network: Network,
    /// What the other voters support.
    pub levels: Levels,
    /// What nodes reported.
    pub statuses: Statuses,
    /// What is remembered of DR plans.
    pub desk: dr::Desk,
    /// Who follows here.
    pub streams: Streams,
    /// Who did what.
    pub audit: Audit,
    /// Where that is written.
    pub audit_files: Files,
    /// Who is connected.
    pub sessions: Sessions,
    /// Who follows.
    pub followers: Followers,
    /// What plans are made from.
    pub frames: watch::Receiver<Arc<Frame>>,
    /// Whether it knows that it belongs to a majority, or did a moment ago.
    pub contact: watch::Receiver<bool>,
    /// Ends streams and waiting calls.
    pub stop: CancellationToken,
    federation: FederationName,
    keyring: Keyring,
    own_endpoints: Vec<Endpoint>,
    timing: Timing,
}

impl Voter {
    /// Opens everything that a voter keeps, and begins to take part in consensus.
    pub async fn open(
        folder: &DataFolder,
        settings: &Settings,
        credentials: watch::Receiver<Arc<Credentials>>,
        stop: CancellationToken,
    ) -> anyhow::Result<Arc<Self>> {
        let federation = settings.federation.clone();
        let pair = SealingKeyPair::open(folder)?;
        let keyring = Keyring::new(federation.clone(), settings.node.clone(), pair);
        let clock = Arc::new(FederationClock::start(folder, 0));
        tokio::spawn({
            let (clock, stop) = (clock.clone(), stop.clone());
            async move { clock.run(stop).await }
        });
        let network = Network::new(credentials, clock.clone());
        let replica = consensus::start(folder, settings, network.clone(), clock.clone()).await?;
        {
            let state = replica.read();
            clock.raise(state.decided_unix_s());
            clock.set_others(other_voters(&state, &settings.node));
        }
        let audit = Audit::open(folder.path(), settings.audit.clone())
            .map_err(crate::data::DataError::io("open", &folder.audit()))?;
        let sessions = Sessions::new(replica.changes(), clock.clone());
        tokio::spawn(sessions.clone().run(stop.clone()));
        let followers = Followers::default();
        let own_endpoints = settings.endpoints.clone();
        let frames = plans::start(replica.changes(), own_endpoints.clone(), stop.clone());
        tokio::spawn(followers.clone().run(frames.clone(), stop.clone()));
        let contact = consensus::contact::watch(replica.clone(), stop.clone());
        let voter = Arc::new(Self {
            node: settings.node.clone(),
            clock,
            replica,
            network,
            levels: Levels::default(),
            statuses: Statuses::default(),
            desk: dr::Desk::default(),
            streams: Streams::default(),
            audit,
            audit_files: Files::new(folder.path()),
            sessions,
            followers,
            frames,
            contact,
            stop,
            federation,
            keyring,
            own_endpoints,
            timing: settings.timing,
        });
        voter.statuses.watch(voter.replica.read().inventory());
        tokio::spawn(voter.clone().follow_commits());
        tokio::spawn(health::watch(voter.clone()));
        tokio::spawn(dr::conduct(voter.clone()));
        tokio::spawn(dr::tell(voter.clone(), folder.hooks()));
        tokio::spawn(consensus::autopilot::run(voter.clone()));
        tokio::spawn(consensus::time::run(voter.clone()));
        tokio::spawn(consensus::level::run(voter.clone()));
        tokio::spawn(authority::watch(voter.clone()));
        Ok(voter)
    }

    /// The federation's name.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        &self.federation
    }

    /// How patient voters are with one another.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What time it is for the federation, in seconds since 1970.
    #[must_use]
    pub fn now_unix_s(&self) -> u64 {
        self.clock.now_unix_s()
    }

    /// Whom the federation trusts to name others.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        self.keyring.trust(self.replica.read().inventory())
    }

    /// What nodes are told of that.
    #[must_use]
    pub fn trust_bundle(&self) -> proto::TrustBundle {
        self.trust().to_proto(self.certificate_lifetime())
    }

    /// The keys with which the federation signs; they change when an authority is replaced.
    pub fn keys(&self) -> Result<Arc<Keys>, Status> {
        self.keys_of(&self.replica.read())
    }

    /// All secrets of the federation, sealed to a new voter: what the request that lets it in
    /// carries. Secrets that come later are sealed to it by the leader.
    pub fn seal_all_for(
        &self,
        node: &NodeName,
        key: &SealingKey,
    ) -> Result<Vec<SealedSecret>, Status> {
        let state = self.replica.read();
        let sealed = self.keyring.seal_all_for(&state, node, key);
        sealed.map_err(|error| locked(&error))
    }

    /// The boxes that voters should have and don't.
    pub(super) fn seal_missing(
        &self,
        state: &FederationState,
    ) -> Result<Vec<SealedSecret>, Status> {
        let sealed = self.keyring.seal_missing(state);
        sealed.map_err(|error| locked(&error))
    }

    /// A secret, sealed to every voter.
    pub(super) fn seal_new(
        &self,
        state: &FederationState,
        name: &SecretName,
        secret: &[u8],
    ) -> Result<Vec<SealedSecret>, Status> {
        let sealed = self.keyring.seal_new(state.inventory(), name, secret);
        sealed.map_err(|error| locked(&error))
    }

    /// What a DR plan's secret is; else why this voter can't tell.
    pub(super) fn open_plan_secret(
        &self,
        state: &FederationState,
        secret: PlanSecret,
    ) -> Result<Vec<u8>, String> {
        let opened = self.keyring.open_plan_secret(state, secret);
        opened.map_err(|error| error.to_string())
    }

    /// A new authority that is to follow the one that signs, with its key for every voter.
    pub(super) fn introduce_authority(
        &self,
        state: &FederationState,
    ) -> Result<AuthorityRequest, Status> {
        let introduced = self.keyring.introduce_authority(state, self.now_unix_s());
        introduced.map_err(|error| locked(&error))
    }

    fn keys_of(&self, state: &FederationState) -> Result<Arc<Keys>, Status> {
        self.keyring.keys(state).map_err(|error| locked(&error))
    }

    /// Who calls, if the caller may. Refusals are noted.
    pub async fn admit<T>(
        &self,
        request: &tonic::Request<T>,
        call: Call,
    ) -> Result<Caller, Status> {
        let mut caller = caller_of(request);
        let mut standing = self.sessions.judge(&caller);
        if standing == Standing::Voter
            && let Some(other) = forward::asserted(request.metadata())?
        {
            // Only the leader is asked so, and it knows all voters: whoever was one is not believed.
            if !self.knows_as_voter(&caller) {
                let reason = "only a voter may speak for others, and this node is none (any more)";
                return Err(Status::unavailable(reason));
            }
            standing = self.sessions.judge(&other);
            caller = other;
        }
        if standing == Standing::Refused(Fault::NodeUnknown) && self.replica.read().revision() == 0
        {
            let reason = "this voter has not heard of the federation's state yet; ask another one";
            return Err(Status::unavailable(reason));
        }
        if !authorize::is_allowed(call, standing) {
            let reason = authorize::explain(call, standing);
            self.audit
                .note_refusal(&caller, standing, call, "", &reason)
                .await;
            return Err(match standing {
                Standing::Anonymous | Standing::ExpiredNode | Standing::Refused(_) => {
                    Status::unauthenticated(reason)
                }
                Standing::Node | Standing::Voter | Standing::User(_) => {
                    Status::permission_denied(reason)
                }
            });
        }
        if call.is_mutation() {
            self.audit.require_writable().await.map_err(unaudited)?;
        }
        if authorize::may_end_its_caller(call)
            && let Some(excuse) = request.extensions().get::<Excuse>()
        {
            excuse.grant();
        }
        Ok(caller)
    }

    fn knows_as_voter(&self, caller: &Caller) -> bool {
        let state = self.replica.read();
        let record = caller
            .node()
            .and_then(|(node, _)| state.inventory().nodes.get(node));
        record.is_some_and(|record| record.voter)
    }

    /// Whether this voter's own agent calls.
    pub fn is_own<T>(&self, request: &tonic::Request<T>) -> bool {
        let caller = caller_of(request);
        let is_direct = matches!(forward::asserted(request.metadata()), Ok(None));
        is_direct && caller.node().is_some_and(|(node, _)| *node == self.node)
    }

    /// The state with everything in it that was acknowledged before this call.
    pub async fn confirmed(&self) -> Result<Arc<FederationState>, Status> {
        self.replica.confirmed().await.map_err(failed)
    }

    /// Why a call can't go on, while nobody leads.
    #[must_use]
    pub fn why_nobody_leads(&self) -> String {
        let survey = self.replica.survey();
        let voters: Vec<String> = survey
            .members
            .values()
            .filter(|member| member.is_voter)
            .map(|member| member.node.to_string())
            .collect();
        format!(
            "no voter leads: a majority of the {} voters must run and reach one another ({}); see \
             that their agents run, then try again",
            voters.len(),
            voters.join(", ")
        )
    }

    /// Proposes a change in a caller's name and notes the outcome.
    pub async fn propose(
        &self,
        caller: &Caller,
        call: Call,
        object: &str,
        request_id: &str,
        request: Request,
    ) -> Result<Committed, Status> {
        let request_id = whole_id(caller, call, request_id)?;
        // A task of its own: a caller that hangs up ends the call, and never what is noted of it.
        let (replica, audit) = (self.replica.clone(), self.audit.clone());
        let (caller, object) = (caller.clone(), object.to_owned());
        let noted = tokio::spawn(async move {
            let result = replica.propose(request_id, request).await;
            let noted = note_result(&audit, &caller, call, &object, &result).await;
            (result, noted)
        });
        let (result, noted) = noted
            .await
            .map_err(|_| Status::unavailable("the voter is stopping; try again"))?;
        // The same request, asked again, is answered once its line can be written.
        noted.map_err(unaudited)?;
        result.map_err(failed)
    }

    /// The revision at which a caller's request was committed already; none: it was not.
    pub async fn committed_at(
        &self,
        caller: &Caller,
        call: Call,
        request_id: &str,
    ) -> Result<Option<u64>, Status> {
        let request_id = whole_id(caller, call, request_id)?;
        Ok(self.confirmed().await?.committed_at(&request_id))
    }

    /// Notes that what somebody asked for was refused.
    pub async fn note_refusal(
        &self,
        caller: &Caller,
        call: Call,
        object: &str,
        reason: &str,
    ) -> Result<(), Status> {
        let outcome = Outcome::Refused(reason);
        let noted = self.audit.note(caller, call, object, outcome).await;
        noted.map_err(unaudited)
    }

    /// Notes that what somebody asked for again was done at a revision already.
    pub async fn note_unchanged(
        &self,
        caller: &Caller,
        call: Call,
        object: &str,
        revision: u64,
    ) -> Result<(), Status> {
        let words = unchanged(revision);
        let outcome = Outcome::Done(&words);
        let noted = self.audit.note(caller, call, object, outcome).await;
        noted.map_err(unaudited)
    }

    /// Whether this voter leads: the one that may act by itself.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.replica.is_leader()
    }

    /// Where voters can be reached.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let state = self.replica.read();
        let mut endpoints = self.own_endpoints.clone();
        let committed = state.inventory().nodes.values().filter(|node| node.voter);
        endpoints.extend(committed.filter_map(|node| node.advertise.clone()));
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }

    /// How long certificates live.
    #[must_use]
    pub fn certificate_lifetime(&self) -> Duration {
        self.replica
            .read()
            .inventory()
            .federation
            .spec
            .certificate_lifetime
            .value()
    }

    async fn follow_commits(self: Arc<Self>) {
        let mut changes = self.replica.changes();
        while let Some(changed) = self.stop.run_until_cancelled(changes.changed()).await {
            if changed.is_err() {
                return;
            }
            self.clock
                .raise(changes.borrow_and_update().decided_unix_s());
            self.statuses.bump();
        }
    }
}

/// An id means something only to the caller who chose it.
fn whole_id(caller: &Caller, call: Call, request_id: &str) -> Result<String, Status> {
    if request_id.is_empty() || request_id.len() > REQUEST_ID_LENGTH_MAX {
        let detail = format!("It has 1 to {REQUEST_ID_LENGTH_MAX} characters.");
        let path = Path::of("request_id");
        return Err(invalid(path, "Invalid request id", &detail));
    }
    Ok(format!("{caller}/{}/{request_id}", call.as_str()))
}

/// What is answered while the audit log can't be written. It may pass, so callers try again.
pub(super) fn unaudited(error: AuditError) -> Status {
    Status::unavailable(error.to_string())
}

/// A voter that can't open the federation's secrets can't do what needs them; another one can.
fn locked(error: &KeyringError) -> Status {
    Status::unavailable(format!("this voter can't act for the federation: {error}"))
}

/// What is answered to a proposal that doesn't stand.
pub(super) fn failed(error: ProposeError) -> Status {
    match error {
        ProposeError::Refused(Refusal { kind, findings }) => refusal::to_status(kind, &findings),
        ProposeError::NotLeader(_) | ProposeError::Failed(_) => {
            Status::unavailable(error.to_string())
        }
    }
}

/// Who votes beside this voter.
fn other_voters<'a>(
    state: &'a FederationState,
    own: &'a NodeName,
) -> impl Iterator<Item = &'a NodeName> {
    let nodes = state.inventory().nodes.iter();
    nodes
        .filter(move |(node, record)| record.voter && *node != own)
        .map(|(node, _)| node)
}

/// Who is at the other end of the connection.
fn caller_of<T>(request: &tonic::Request<T>) -> Caller {
    let session = request.extensions().get::<Session>();
    session.map_or(Caller::Anonymous, |session| session.caller().clone())
}

/// A refusal that concerns the request itself.
#[must_use]
pub fn invalid(path: Path, summary: &str, detail: &str) -> Status {
    refusal::to_status(
        RefusalKind::Invalid,
        &[Finding::error(path, summary, detail)],
    )
}

async fn note_result(
    audit: &Audit,
    caller: &Caller,
    call: Call,
    object: &str,
    result: &Result<Committed, ProposeError>,
) -> Result<(), AuditError> {
    let (words, is_done) = match result {
        Ok(committed) if committed.is_new => (format!("committed at {}", committed.revision), true),
        Ok(committed) => (unchanged(committed.revision), true),
        Err(ProposeError::Refused(refusal)) => (first_finding(refusal), false),
        Err(error @ (ProposeError::NotLeader(_) | ProposeError::Failed(_))) => {
            (error.to_string(), false)
        }
    };
    let outcome = if is_done {
        Outcome::Done(&words)
    } else {
        Outcome::Refused(&words)
    };
    audit.note(caller, call, object, outcome).await
}

fn unchanged(revision: u64) -> String {
    format!("unchanged at {revision}")
}

fn first_finding(refusal: &Refusal) -> String {
    refusal
        .findings
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
}
