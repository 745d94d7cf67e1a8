//! Whether the certificate authorities may change so. How long to wait between the steps of a
//! rotation is decided in [`crate::authority::rotation`]; here is only what must never be.

use crate::authority::{AuthorityChange, AuthorityRecord, AuthorityRequest, AuthorityRole};
use crate::finding::Path;
use crate::inventory::Inventory;
use crate::secret::{SealedSecret, SecretName};

use super::{Refusal, RefusalKind, secret};

/// Marks of what was issued are rounded up to this, so that few of them are committed.
const MARK_GRAIN_S: u64 = 3600;

type Decided = Result<Option<AuthorityChange>, Refusal>;

/// Decides on a request; none: it would change nothing.
pub(super) fn admit(
    inventory: &Inventory,
    now_unix_s: u64,
    request: AuthorityRequest,
) -> Result<Option<AuthorityChange>, Refusal> {
    match request {
        AuthorityRequest::Introduce {
            number,
            certificate,
            cross_certificate,
            boxes,
        } => {
            let authority = AuthorityRecord {
                certificate,
                cross_certificate,
                role: AuthorityRole::Introduced,
                since_unix_s: now_unix_s,
                issued_until_unix_s: 0,
                nodes_until_unix_s: 0,
            };
            introduce(inventory, number, authority, boxes)
        }
        AuthorityRequest::Sign { number } => sign(inventory, now_unix_s, number),
        AuthorityRequest::Retire { number } => retire(inventory, number),
        AuthorityRequest::Bind {
            number,
            until_unix_s,
        } => bind(inventory, number, until_unix_s),
        AuthorityRequest::Certified { mut nodes } => {
            nodes.retain(|node, number| {
                let record = inventory.nodes.get(node);
                inventory.authorities.get(*number).is_some()
                    && record.is_some_and(|record| record.certified_by != Some(*number))
            });
            Ok((!nodes.is_empty()).then_some(AuthorityChange::Certified { nodes }))
        }
    }
}

fn introduce(
    inventory: &Inventory,
    number: u32,
    mut authority: AuthorityRecord,
    boxes: Vec<SealedSecret>,
) -> Decided {
    let authorities = &inventory.authorities;
    if authorities.is_rotating() {
        let detail = "One authority is being replaced already: `hanse authority status` says what \
                      that waits for.";
        let kind = RefusalKind::AlreadyExists;
        return Err(refuse(kind, "A rotation is under way", detail));
    }
    let sealed = |secret: &SealedSecret| secret.name == SecretName::AuthorityKey(number);
    if number != authorities.next_number() || boxes.is_empty() || !boxes.iter().all(sealed) {
        let detail = "The authorities changed while the new one was made. Try again.";
        return Err(refuse(RefusalKind::Conflict, "Overtaken", detail));
    }
    secret::check_recipients(inventory, &boxes)?;
    if authorities.is_empty() {
        authority.role = AuthorityRole::Signing;
    }
    Ok(Some(AuthorityChange::Introduced {
        number,
        authority,
        boxes,
    }))
}

fn sign(inventory: &Inventory, now_unix_s: u64, number: u32) -> Decided {
    let authorities = &inventory.authorities;
    let role = authorities.get(number).map(|record| record.role);
    match (role, authorities.signing()) {
        (Some(AuthorityRole::Signing), _) => Ok(None),
        (Some(AuthorityRole::Introduced), Some((before, _))) => {
            let settings = &inventory.federation.spec;
            let lifetime = settings.certificate_lifetime.value();
            let nodes_until_unix_s = now_unix_s
                .saturating_add(lifetime.as_secs())
                .saturating_add(settings.rejoin_window.value().as_secs());
            Ok(Some(AuthorityChange::Signs {
                number,
                before,
                nodes_until_unix_s,
            }))
        }
        (Some(AuthorityRole::Introduced | AuthorityRole::Retiring) | None, _) => {
            let detail = format!("The authority {number} is not one that could begin to sign.");
            Err(refuse(RefusalKind::Conflict, "Not introduced", &detail))
        }
    }
}

fn retire(inventory: &Inventory, number: u32) -> Decided {
    match inventory.authorities.get(number).map(|record| record.role) {
        None => Ok(None),
        Some(AuthorityRole::Retiring) => Ok(Some(AuthorityChange::Retired { number })),
        Some(AuthorityRole::Introduced | AuthorityRole::Signing) => {
            let detail = format!("The authority {number} has not been replaced.");
            Err(refuse(RefusalKind::Conflict, "Still needed", &detail))
        }
    }
}

fn bind(inventory: &Inventory, number: u32, until_unix_s: u64) -> Decided {
    let Some(record) = inventory.authorities.get(number) else {
        let detail = format!("The authority {number} is trusted no more. Try again.");
        return Err(refuse(RefusalKind::Conflict, "Overtaken", &detail));
    };
    if record.issued_until_unix_s >= until_unix_s {
        return Ok(None);
    }
    let until_unix_s = until_unix_s
        .div_ceil(MARK_GRAIN_S)
        .saturating_mul(MARK_GRAIN_S);
    Ok(Some(AuthorityChange::Bound {
        number,
        until_unix_s,
    }))
}

fn refuse(kind: RefusalKind, summary: &str, detail: &str) -> Refusal {
    Refusal::one(kind, Path::root(), summary, detail)
}
