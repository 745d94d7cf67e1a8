//! Users whose certificates are to count no more.

use super::{Refusal, RefusalKind};
use crate::command::Command;
use crate::finding::Path;
use crate::identities::{REVOKED_USERS_MAX, RevokedUser, USER_LIFETIME_MAX_S};
use crate::name::NodeName;
use crate::state::FederationState;

/// Ends every certificate of a user that was issued up to now.
pub(super) fn revoke(
    state: &FederationState,
    now_unix_s: u64,
    name: NodeName,
) -> Result<Command, Refusal> {
    let known = state.identities().revoked_users();
    let forget_users: Vec<NodeName> = known
        .iter()
        .filter(|(_, revoked)| revoked.ends_unix_s < now_unix_s)
        .map(|(name, _)| name.clone())
        .collect();
    if !known.contains_key(&name) && known.len() - forget_users.len() >= REVOKED_USERS_MAX {
        let detail = format!(
            "The federation remembers {REVOKED_USERS_MAX} users whose certificates were revoked, \
             each until the longest-lived of them has ended. Issue shorter-lived credentials, \
             which end by themselves."
        );
        let kind = RefusalKind::Invalid;
        return Err(Refusal::one(
            kind,
            Path::of("name"),
            "Too many revoked users",
            detail,
        ));
    }
    // A leader whose clock is behind the last one's must not give back what that one took.
    let before = known
        .get(&name)
        .map_or(0, |revoked| revoked.issued_until_unix_s);
    let issued_until_unix_s = now_unix_s.max(before);
    let revoked = RevokedUser {
        issued_until_unix_s,
        ends_unix_s: issued_until_unix_s.saturating_add(USER_LIFETIME_MAX_S),
    };
    Ok(Command::RevokeUser {
        name,
        revoked,
        forget_users,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Request;
    use crate::testing::Builder;

    fn revoke(federation: &mut Builder, name: &str, now_unix_s: u64) -> Result<(), Refusal> {
        federation.now_unix_s = now_unix_s;
        let name = name.parse().unwrap();
        federation.ask(Request::RevokeUser { name })
    }

    #[test]
    fn a_revocation_is_remembered_until_no_certificate_can_be_left() {
        let mut federation = Builder::new();
        revoke(&mut federation, "alex", 100).unwrap();
        revoke(&mut federation, "kim", 100 + USER_LIFETIME_MAX_S).unwrap();
        assert_eq!(federation.state.identities().revoked_users().len(), 2);
        revoke(&mut federation, "kim", 101 + USER_LIFETIME_MAX_S).unwrap();
        assert_eq!(federation.state.identities().revoked_users().len(), 1);
    }

    #[test]
    fn a_clock_that_runs_behind_gives_nothing_back() {
        let mut federation = Builder::new();
        revoke(&mut federation, "alex", 100).unwrap();
        revoke(&mut federation, "alex", 50).unwrap();
        let alex = "alex".parse().unwrap();
        assert!(federation.state.identities().is_user_revoked(&alex, 100));
    }

    #[test]
    fn the_list_is_bounded() {
        let mut federation = Builder::new();
        for number in 0..REVOKED_USERS_MAX {
            revoke(&mut federation, &format!("u{number}"), 1).unwrap();
        }
        let refused = revoke(&mut federation, "one-more", 1).unwrap_err();
        assert_eq!(refused.findings[0].summary, "Too many revoked users");
        revoke(&mut federation, "u7", 2).unwrap();
        revoke(&mut federation, "one-more", 2 + USER_LIFETIME_MAX_S).unwrap();
    }
}
