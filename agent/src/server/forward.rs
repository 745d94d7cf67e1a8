//! Calls that only the leader can answer: a voter that doesn't lead has it make them, in the name
//! of whoever called.
//!
//! Who calls is what that voter saw on its own connection. The leader believes it of voters only,
//! judges the caller again by its own state, and never forwards what was forwarded.

use std::time::Duration;

use hanse_client::proto::api_client::ApiClient;
use hanse_client::{Identity, MESSAGE_LIMIT_BYTES};
use hanse_core::identities::IdentityKey;
use hanse_proto::raft::v1 as proto;
use hanse_proto::raft::v1::on_behalf_of;
use prost::Message as _;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Status};

use super::authorize::Call;
use super::caller::{Caller, Certificate};
use super::leader::Leader;
use super::voter::Voter;

/// The metadata that says on whose behalf a voter calls.
const ON_BEHALF_OF: &str = "hanse-on-behalf-of-bin";
/// How long a call waits for somebody to lead: a little longer than an election takes.
const LEADER_TIMEOUT: Duration = Duration::from_secs(8);

/// Where a call goes on.
pub(super) enum Route<M> {
    /// Here: this voter leads.
    Here(Caller, M),
    /// At the leader.
    Leader(Box<ApiClient<Leader>>, Request<M>),
}

/// Lets a caller in and says where the call goes on.
pub(super) async fn route<M>(
    voter: &Voter,
    request: Request<M>,
    call: Call,
) -> Result<Route<M>, Status> {
    let caller = voter.admit(&request, call).await?;
    match leader(voter, is_forwarded(request.metadata())).await? {
        None => Ok(Route::Here(caller, request.into_inner())),
        Some(leader) => {
            let api = ApiClient::new(leader)
                .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
                .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
            let request = on_behalf_of(&caller, request.into_inner());
            Ok(Route::Leader(Box::new(api), request))
        }
    }
}

/// Whom a voter says that it speaks for; none: it speaks for itself.
pub(super) fn asserted(metadata: &MetadataMap) -> Result<Option<Caller>, Status> {
    let Some(value) = metadata.get_bin(ON_BEHALF_OF) else {
        return Ok(None);
    };
    let malformed = || Status::invalid_argument("it is not said on whose behalf this call is made");
    let bytes = value.to_bytes().map_err(|_| malformed())?;
    let read = proto::OnBehalfOf::decode(bytes).map_err(|_| malformed())?;
    read_caller(read).map(Some).ok_or_else(malformed)
}

/// The way to the leader; none: this voter leads.
async fn leader(voter: &Voter, is_forwarded: bool) -> Result<Option<Leader>, Status> {
    let unreachable = |reason: &dyn std::fmt::Display| Status::unavailable(reason.to_string());
    if voter.is_leader() {
        return Ok(None);
    }
    if is_forwarded {
        return Err(unreachable(&"the voter that was asked leads no more"));
    }
    let found = tokio::time::timeout(LEADER_TIMEOUT, voter.replica.somebody_leads()).await;
    let Ok((id, node)) = found else {
        return Err(unreachable(&voter.why_nobody_leads()));
    };
    if id == voter.replica.voter() {
        return Ok(None);
    }
    let channel = voter.network.channel(id, &node);
    Ok(Some(Leader {
        channel: channel.map_err(|error| unreachable(&error))?,
        replica: voter.replica.clone(),
        id,
        name: node.name.to_string(),
    }))
}

fn is_forwarded(metadata: &MetadataMap) -> bool {
    metadata.get_bin(ON_BEHALF_OF).is_some()
}

fn on_behalf_of<M>(caller: &Caller, message: M) -> Request<M> {
    let caller = match caller {
        Caller::Anonymous => on_behalf_of::Caller::Anonymous(true),
        Caller::Local => on_behalf_of::Caller::Local(true),
        Caller::Certified(certificate) => {
            on_behalf_of::Caller::Certificate(write_certificate(certificate))
        }
    };
    let content = proto::OnBehalfOf {
        caller: Some(caller),
    };
    let mut request = Request::new(message);
    let value = MetadataValue::from_bytes(&content.encode_to_vec());
    request.metadata_mut().insert_bin(ON_BEHALF_OF, value);
    request
}

fn write_certificate(certificate: &Certificate) -> proto::Certificate {
    let Certificate {
        identity,
        key,
        authority,
        serves,
        issued_unix_s,
        expires_unix_s,
    } = certificate;
    let role = match identity {
        Identity::User { role, .. } => role.to_string(),
        Identity::Node { .. } => String::new(),
    };
    proto::Certificate {
        identity: identity.to_string(),
        role,
        key: key.as_bytes().to_vec(),
        authority: *authority,
        serves: *serves,
        issued_unix_s: *issued_unix_s,
        expires_unix_s: *expires_unix_s,
    }
}

fn read_caller(read: proto::OnBehalfOf) -> Option<Caller> {
    let certificate = match read.caller? {
        on_behalf_of::Caller::Anonymous(_) => return Some(Caller::Anonymous),
        on_behalf_of::Caller::Local(_) => return Some(Caller::Local),
        on_behalf_of::Caller::Certificate(certificate) => certificate,
    };
    let role = match certificate.role.as_str() {
        "" => None,
        role => Some(role.parse().ok()?),
    };
    let key: [u8; 32] = certificate.key.try_into().ok()?;
    Some(Caller::Certified(Certificate {
        identity: Identity::from_uri(&certificate.identity, role).ok()?,
        key: IdentityKey::from(key),
        authority: certificate.authority,
        serves: certificate.serves,
        issued_unix_s: certificate.issued_unix_s,
        expires_unix_s: certificate.expires_unix_s,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(caller: &Caller) -> Option<Caller> {
        asserted(on_behalf_of(caller, ()).metadata()).unwrap()
    }

    #[test]
    fn whom_a_voter_speaks_for_arrives_as_it_was() {
        let certificate = |uri: &str, role| {
            Caller::Certified(Certificate {
                identity: Identity::from_uri(uri, role).unwrap(),
                key: IdentityKey::from([7; 32]),
                authority: Some(3),
                serves: true,
                issued_unix_s: 5,
                expires_unix_s: 6,
            })
        };
        let callers = [
            Caller::Anonymous,
            Caller::Local,
            certificate("spiffe://acme/cluster/home/node/home-1", None),
            certificate(
                "spiffe://acme/user/alex",
                Some(hanse_client::Role::Operator),
            ),
        ];
        for caller in callers {
            assert_eq!(there_and_back(&caller), Some(caller));
        }
        assert_eq!(asserted(Request::new(()).metadata()).unwrap(), None);
    }

    #[test]
    fn garbage_speaks_for_nobody() {
        let mut request = Request::new(());
        for bytes in [&b""[..], b"\xff\xff", b"\x1a\x00"] {
            let value = MetadataValue::from_bytes(bytes);
            request.metadata_mut().insert_bin(ON_BEHALF_OF, value);
            asserted(request.metadata()).unwrap_err();
        }
    }
}
