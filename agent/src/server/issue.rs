//! Credentials for others: join tokens, and certificates of users.

use std::time::Duration;

use aws_lc_rs::rand;
use hanse_client::proto::{self, issue_response::Credential};
use hanse_client::{Identity, Role};
use hanse_core::finding::Path;
use hanse_core::identities::USER_LIFETIME_MAX_S;
use hanse_core::name::{ClusterName, NodeName};
use tonic::Status;

use super::authority;
use super::authorize::Call;
use super::caller::Caller;
use super::voter::{Voter, invalid, unaudited};
use crate::audit::Outcome;
use crate::identity::Token;
use crate::identity::token::Claims;

/// The longest life of a token.
const TOKEN_TTL_MAX_S: u64 = 30 * 24 * 3600;
/// The most nodes that one token lets in.
const USES_MAX: u32 = 10_000;

/// Makes a join token.
pub(super) async fn token(
    voter: &Voter,
    caller: &Caller,
    wanted: &proto::TokenRequest,
) -> Result<Credential, Status> {
    let cluster: ClusterName = wanted.member_cluster.parse().map_err(|error| {
        invalid(
            Path::of("member_cluster"),
            "Invalid name",
            &format!("{error}."),
        )
    })?;
    check_ttl(wanted.ttl_s, TOKEN_TTL_MAX_S)?;
    if wanted.uses == 0 || wanted.uses > USES_MAX {
        let detail = format!("A token lets in 1 to {USES_MAX} nodes.");
        return Err(invalid(Path::of("uses"), "Invalid number of uses", &detail));
    }
    let mut id = [0_u8; 16];
    rand::fill(&mut id).map_err(|_| Status::internal("the random generator failed"))?;
    let keys = voter.keys()?;
    let now_unix_s = voter.now_unix_s();
    let claims = Claims {
        id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
        federation: voter.federation().clone(),
        cluster,
        expires_unix_s: now_unix_s.saturating_add(wanted.ttl_s),
        issued_unix_s: now_unix_s,
        uses: wanted.uses,
        voter: wanted.voter,
        authority: keys.authority.fingerprint().to_string(),
        endpoints: voter.endpoints(),
    };
    let object = format!(
        "token {} for member cluster `{}`",
        claims.id, claims.cluster
    );
    authority::bind(voter, keys.authority.number(), claims.expires_unix_s).await?;
    let token = Token::sign(&keys.authority, claims)
        .map_err(|error| Status::internal(error.to_string()))?;
    voter
        .audit
        .note(caller, Call::IssueToken, &object, Outcome::Done("issued"))
        .await
        .map_err(unaudited)?;
    Ok(Credential::Token(token.reveal()))
}

/// Makes a user's certificate.
pub(super) async fn user(
    voter: &Voter,
    caller: &Caller,
    wanted: &proto::UserRequest,
) -> Result<Credential, Status> {
    let name: NodeName = wanted
        .name
        .parse()
        .map_err(|error| invalid(Path::of("name"), "Invalid name", &format!("{error}.")))?;
    let role: Role = wanted
        .role
        .parse()
        .map_err(|error| invalid(Path::of("role"), "Invalid role", &format!("{error}.")))?;
    check_ttl(wanted.ttl_s, USER_LIFETIME_MAX_S)?;
    let state = voter.replica.read();
    if state
        .identities()
        .is_user_revoked(&name, voter.now_unix_s())
    {
        // Only in the second of the revocation, or by a clock that was set back since.
        let reason = "credentials of this name were revoked just now; try again in a moment";
        return Err(Status::unavailable(reason));
    }
    let object = format!("credentials of `{name}` as {role}");
    let identity = Identity::User {
        federation: voter.federation().clone(),
        name,
        role,
    };
    let lives = Duration::from_secs(wanted.ttl_s);
    let (keys, now_unix_s) = (voter.keys()?, voter.now_unix_s());
    let until_unix_s = now_unix_s.saturating_add(wanted.ttl_s);
    authority::bind(voter, keys.authority.number(), until_unix_s).await?;
    let certificate_chain = keys
        .authority
        .certify(
            &identity,
            false,
            now_unix_s,
            lives,
            &wanted.certificate_request,
        )
        .map_err(|error| {
            invalid(
                Path::of("certificate_request"),
                "Invalid certificate request",
                &format!("{error}."),
            )
        })?;
    voter
        .audit
        .note(caller, Call::IssueUser, &object, Outcome::Done("issued"))
        .await
        .map_err(unaudited)?;
    Ok(Credential::User(proto::UserCertificate {
        certificate_chain,
        trust: Some(voter.trust_bundle()),
    }))
}

fn check_ttl(ttl_s: u64, ttl_max_s: u64) -> Result<(), Status> {
    if ttl_s == 0 || ttl_s > ttl_max_s {
        let detail = format!("It may be 1 s to {} h.", ttl_max_s / 3600);
        return Err(invalid(Path::of("ttl"), "Invalid lifetime", &detail));
    }
    Ok(())
}
