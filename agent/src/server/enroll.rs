//! Nodes: how they come in, renew their certificates and tell their keys.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use hanse_client::refusal;
use hanse_client::{Identity, proto};
use hanse_core::admission::RefusalKind;
use hanse_core::command::{Request, TokenClaim};
use hanse_core::endpoint::Endpoint;
use hanse_core::finding::{Finding, Path};
use hanse_core::identities::IdentityKey;
use hanse_core::key::PublicKey;
use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_core::name::{MeshName, NodeName};
use hanse_core::secret::{SealingKey, SealingKeyError};
use tonic::Status;

use super::authorize::Call;
use super::caller::{Caller, Certificate};
use super::vote;
use super::voter::{Voter, invalid, unaudited};
use crate::audit::Outcome;
use crate::identity::{Token, TokenError, identity_key};

/// The node that calls: it is enrolled as its certificate says, or the call was not admitted.
pub(super) fn calling_node(caller: &Caller) -> Result<NodeName, Status> {
    let node = caller.node().map(|(node, _)| node.clone());
    node.ok_or_else(|| Status::permission_denied("this call is for nodes"))
}

/// Lets a node in by its token.
pub(super) async fn join(
    voter: &Voter,
    caller: &Caller,
    request: &proto::EnrollRequest,
) -> Result<proto::EnrollResponse, Status> {
    let node: NodeName = request
        .node
        .parse()
        .map_err(|error| invalid(Path::of("node"), "Invalid name", &format!("{error}.")))?;
    let now = voter.now_unix_s();
    let trust = voter.trust();
    let token: Result<Token, TokenError> = request.token.parse();
    let verified = token
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|t| t.verify(&trust, now));
    let claims = match verified {
        Ok(claims) => claims.clone(),
        Err(error) => {
            let object = format!("node `{node}`");
            let standing = voter.sessions.judge(caller);
            voter
                .audit
                .note_refusal(caller, standing, Call::Join, &object, &error.to_string())
                .await;
            return Err(Status::unauthenticated(error.to_string()));
        }
    };
    let advertise = read_advertise(&request.advertise)?.filter(|_| claims.voter);
    let sealing_key = read_sealing_key(&request.sealing_key)?.filter(|_| claims.voter);
    if claims.voter && (advertise.is_none() || sealing_key.is_none()) {
        let detail = "This token is for a voter, and a voter serves others: join with `--voter \
                      --listen ADDR:PORT`, and `--advertise HOST:PORT` where others reach it by \
                      another address.";
        return Err(invalid(
            Path::of("advertise"),
            "A voter must listen",
            detail,
        ));
    }
    if claims.voter {
        check_level(voter, request.feature_level)?;
    }
    let boxes = match &sealing_key {
        Some(key) => voter.seal_all_for(&node, key)?,
        None => Vec::new(),
    };
    // A joiner that lost the answer asks again with the same key and is let in once.
    let key = public_key_of(request)?;
    let id = request_id(&[claims.id.as_bytes(), node.as_str().as_bytes(), key]);
    let identity = Identity::Node {
        federation: voter.federation().clone(),
        cluster: claims.cluster.clone(),
        node: node.clone(),
    };
    // Signed first, handed out last: a request that can't be signed must not use up the token.
    let mut response = certify(voter, &identity, claims.voter, request)?;
    let object = format!("node `{node}`");
    let change = Request::Enroll {
        node: node.clone(),
        cluster: claims.cluster,
        voter: claims.voter,
        advertise,
        identity_key: Some(identity_key(key)),
        token: Some(TokenClaim {
            id: claims.id,
            uses_max: claims.uses,
            expires_unix_s: claims.expires_unix_s,
        }),
        sealing_key,
        boxes,
    };
    let committed = voter
        .propose(caller, Call::Join, &object, &id, change)
        .await?;
    let record = committed.state.inventory().nodes.get(&node);
    response.voter_id = record.map_or(0, |record| record.voter_id());
    Ok(response)
}

/// Gives a node a fresh certificate.
pub(super) async fn renew(
    voter: &Voter,
    caller: &Caller,
    request: &proto::EnrollRequest,
) -> Result<proto::EnrollResponse, Status> {
    let node = calling_node(caller)?;
    let Caller::Certified(Certificate { identity, key, .. }) = caller else {
        return Err(Status::permission_denied("this call is for nodes"));
    };
    if identity_key(public_key_of(request)?) != *key {
        let reason = "it is for another key than the node was enrolled with; to change the key, \
                      leave and join anew";
        return Err(bad_request(&reason));
    }
    bind_key(voter, caller, &node, *key).await?;
    let (mut voter_id, mut listen) = (0, String::new());
    if let Some(sealing_key) = read_sealing_key(&request.sealing_key)? {
        check_level(voter, request.feature_level)?;
        let called = voter.replica.read().revision().to_le_bytes();
        let id = request_id(&[node.as_str().as_bytes(), sealing_key.as_bytes(), &called]);
        (voter_id, listen) = vote::answer(voter, caller, &node, sealing_key, &id).await?;
    }
    let state = voter.replica.read();
    let serves = state
        .inventory()
        .nodes
        .get(&node)
        .is_some_and(|record| record.voter);
    let mut response = certify(voter, identity, serves, request)?;
    response.voter_id = voter_id;
    response.listen = listen;
    voter
        .audit
        .note(
            caller,
            Call::Renew,
            &format!("node `{node}`"),
            Outcome::Done("renewed"),
        )
        .await
        .map_err(unaudited)?;
    Ok(response)
}

/// Keeps the key of a node that was enrolled before keys were kept.
async fn bind_key(
    voter: &Voter,
    caller: &Caller,
    node: &NodeName,
    identity_key: IdentityKey,
) -> Result<(), Status> {
    if voter.replica.read().identities().key_of(node).is_some() {
        return Ok(());
    }
    let id = request_id(&[
        node.as_str().as_bytes(),
        identity_key.to_string().as_bytes(),
    ]);
    let object = format!("identity of node `{node}`");
    let node = node.clone();
    let change = Request::BindKey { node, identity_key };
    voter
        .propose(caller, Call::Renew, &object, &id, change)
        .await
        .map(|_| ())
}

/// Commits the keys that a node made for its meshes.
pub(super) async fn keep_keys(
    voter: &Voter,
    caller: &Caller,
    node: &NodeName,
    status: &proto::NodeStatus,
) -> Result<(), Status> {
    for (mesh, public_key) in new_keys(voter, node, status) {
        let mut entropy = [0; 16];
        aws_lc_rs::rand::fill(&mut entropy)
            .map_err(|_| Status::internal("the random generator failed"))?;
        let id = request_id(&[&entropy]);
        let object = format!("key of node `{node}` in VPN mesh `{mesh}`");
        let change = Request::SetKey {
            node: node.clone(),
            mesh,
            public_key,
        };
        match voter
            .propose(caller, Call::Report, &object, &id, change)
            .await
        {
            // The mesh may just have been deleted: the next plan says so.
            Err(status) if status.code() == tonic::Code::NotFound => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}

/// The keys in a report that differ from the committed ones, for meshes that the node takes part
/// in. One for each mesh, however often a report names it.
fn new_keys(
    voter: &Voter,
    node: &NodeName,
    status: &proto::NodeStatus,
) -> BTreeMap<MeshName, PublicKey> {
    let state = voter.replica.read();
    let Some(record) = state.inventory().nodes.get(node) else {
        return BTreeMap::new();
    };
    status
        .meshes
        .iter()
        .filter_map(|observed| {
            let mesh: MeshName = observed.mesh.parse().ok()?;
            let key = PublicKey::try_from(observed.public_key.as_slice()).ok()?;
            let place = record.meshes.get(&mesh)?;
            (place.public_key != Some(key)).then_some((mesh, key))
        })
        .collect()
}

fn certify(
    voter: &Voter,
    identity: &Identity,
    serves: bool,
    request: &proto::EnrollRequest,
) -> Result<proto::EnrollResponse, Status> {
    let lives = voter.certificate_lifetime();
    let keys = voter.keys()?;
    let chain = keys
        .authority
        .certify(
            identity,
            serves,
            voter.now_unix_s(),
            lives,
            &request.certificate_request,
        )
        .map_err(|error| bad_request(&error))?;
    let member_cluster = match identity {
        Identity::Node { cluster, .. } => cluster.to_string(),
        Identity::User { .. } => String::new(),
    };
    Ok(proto::EnrollResponse {
        voter_id: 0,
        listen: String::new(),
        timing: voter.timing().to_string(),
        certificate_chain: chain,
        federation: identity.federation().to_string(),
        member_cluster,
        endpoints: voter.endpoints().iter().map(ToString::to_string).collect(),
        trust: Some(voter.trust_bundle()),
    })
}

/// Whether a new voter would understand what the others write.
fn check_level(voter: &Voter, told: u32) -> Result<(), Status> {
    let (supported, level) = (
        FeatureLevel::told(told),
        voter.replica.read().feature_level(),
    );
    if supported >= level {
        return Ok(());
    }
    let detail = format!(
        "The voters of this federation are at the feature level {level}, and the hanse that asks \
         supports {supported} at most. Install hanse {PROGRAM_VERSION} or later on this node, then \
         join again."
    );
    let path = Path::of("feature_level");
    Err(invalid(path, "Too old to vote here", &detail))
}

fn bad_request(error: &dyn std::fmt::Display) -> Status {
    let path = Path::of("certificate_request");
    let finding = Finding::error(path, "Invalid certificate request", format!("{error}."));
    refusal::to_status(RefusalKind::Invalid, &[finding])
}

fn read_advertise(text: &str) -> Result<Option<Endpoint>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        invalid(
            Path::of("advertise"),
            "Invalid endpoint",
            &format!("{error}."),
        )
    })
}

fn read_sealing_key(bytes: &[u8]) -> Result<Option<SealingKey>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes
        .try_into()
        .map(Some)
        .map_err(|error: SealingKeyError| {
            let detail = format!("{error}.");
            invalid(Path::of("sealing_key"), "Invalid sealing key", &detail)
        })
}

/// The request's public key: a signature differs each time, the key doesn't.
fn public_key_of(request: &proto::EnrollRequest) -> Result<&[u8], Status> {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;
    X509CertificationRequest::from_der(&request.certificate_request)
        .map(|(_, parsed)| parsed.certification_request_info.subject_pki.raw)
        .map_err(|_| bad_request(&"it is no PKCS #10 request"))
}

/// An id that is the same for the same parts.
pub(super) fn request_id(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    context
        .finish()
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
