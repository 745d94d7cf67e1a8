//! Whether a request may be committed, and with which effects.
//!
//! Pure: the caller has authenticated and authorised whoever asks, and verified what needs a
//! clock or a key.

mod authority;
mod lease;
mod level;
mod node;
mod plan;
mod secret;
mod user;
mod vote;

use crate::check::{self, Missing};
use crate::command::{AddressChange, Command, Entry, Request, TokenClaim, TokenUse};
use crate::finding::{Finding, Path};
use crate::health::{Health, NodeHealth};
use crate::identities::IdentityKey;
use crate::inventory::{Inventory, NodeRecord};
use crate::key::PublicKey;
use crate::mesh::addresses::{self, PoolExhausted};
use crate::name::{MeshName, NodeName};
use crate::object::{Object, ObjectRef};
use crate::recollection;
use crate::secret::SealedSecret;
use crate::state::FederationState;
use crate::voters::vote::Vote;

/// How long uses of an ended token are remembered, so that clocks may differ, in seconds.
const TOKEN_MEMORY_S: u64 = 24 * 3600;

/// A request that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It was committed before, or would change nothing.
    Already {
        /// The revision that carries it.
        revision: u64,
    },
    /// It is to be committed.
    Commit {
        /// What to commit.
        entry: Box<Entry>,
        /// What is worth saying.
        warnings: Vec<Finding>,
    },
}

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of what kind.
    pub kind: RefusalKind,
    /// What is wrong and where; never empty.
    pub findings: Vec<Finding>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request itself is wrong.
    Invalid,
    /// It names something that does not exist.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Somebody else changed it since it was read.
    Conflict,
    /// A token was used up.
    TokenUsed,
}

impl Refusal {
    fn one(kind: RefusalKind, path: Path, summary: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            findings: vec![Finding::error(path, summary, detail)],
        }
    }
}

/// Decides on a request at a moment, in seconds since 1970.
///
/// # Errors
///
/// The request may not be committed.
pub fn admit(
    state: &FederationState,
    request_id: &str,
    now_unix_s: u64,
    request: Request,
) -> Result<Admission, Refusal> {
    if let Some(revision) = state.committed_at(request_id) {
        return Ok(Admission::Already { revision });
    }
    let decided = match request {
        Request::Apply {
            object,
            expected_revision,
            boxes,
        } => admit_apply(state, object, expected_revision, boxes)?,
        Request::Delete {
            reference,
            expected_revision,
        } => admit_delete(state, reference, expected_revision)?,
        Request::Enroll {
            node,
            cluster,
            voter,
            advertise,
            identity_key,
            token,
            sealing_key,
            boxes,
        } => {
            node::check_key(state, &node, identity_key)?;
            if voter {
                vote::check_room(state.inventory(), &node)?;
            }
            let record = NodeRecord {
                cluster,
                voter,
                advertise,
                meshes: Default::default(),
                enrolled_revision: state.revision() + 1,
                health: NodeHealth::default(),
                sealing_key,
                certified_by: None,
                vote: Vote::default(),
            };
            secret::check_label(&node, &boxes)?;
            Some((
                admit_enroll(state, now_unix_s, node, record, identity_key, token, boxes)?,
                Vec::new(),
            ))
        }
        Request::SetKey {
            node,
            mesh,
            public_key,
        } => {
            let command = admit_key(state.inventory(), node, mesh, public_key)?;
            command.map(|command| (command, Vec::new()))
        }
        Request::BindKey { node, identity_key } => {
            node::bind_key(state, node, identity_key)?.map(silently)
        }
        Request::RevokeNode { node } => node::revoke(state, node)?.map(silently),
        Request::RemoveNode { node, farewell } => {
            Some(silently(node::remove(state, node, farewell)?))
        }
        Request::RevokeUser { name } => Some(silently(user::revoke(state, now_unix_s, name)?)),
        Request::SetHealth {
            node,
            health,
            reason,
        } => {
            let command = admit_health(state.inventory(), node, health, reason)?;
            command.map(|command| (command, Vec::new()))
        }
        Request::Authority(request) => {
            let change = authority::admit(state.inventory(), now_unix_s, request)?;
            change.map(|change| silently(Command::Authority(change)))
        }
        Request::Vote(request) => {
            let change = vote::admit(state, request)?;
            change.map(|change| silently(Command::Vote(change)))
        }
        Request::Recall {
            node,
            dropped,
            changes,
        } => {
            if !state.inventory().nodes.contains_key(&node) {
                return Err(node::unknown(&node));
            }
            let changes = recollection::bounded(changes, now_unix_s);
            (!changes.is_empty()).then(|| {
                silently(Command::Recall {
                    node,
                    dropped,
                    changes,
                })
            })
        }
        Request::Lease(request) => {
            let change = lease::admit(state.leases(), request)?;
            change.map(|change| silently(Command::Lease(change)))
        }
        Request::Plan(request) => Some(silently(plan::admit(state, request)?)),
        Request::Seal { boxes } => {
            secret::check_recipients(state.inventory(), &boxes)?;
            (!boxes.is_empty()).then(|| silently(Command::Seal { boxes }))
        }
        Request::RaiseLevel { level, voters } => level::raise(state, level, &voters)?.map(silently),
    };
    if let Some((command, _)) = &decided {
        level::check(state, command)?;
    }
    Ok(match decided {
        None => Admission::Already {
            revision: state.revision(),
        },
        Some((command, warnings)) => Admission::Commit {
            entry: Box::new(Entry {
                request_id: request_id.to_owned(),
                at_unix_s: now_unix_s,
                command,
            }),
            warnings,
        },
    })
}

type Decided = Option<(Command, Vec<Finding>)>;

fn silently(command: Command) -> (Command, Vec<Finding>) {
    (command, Vec::new())
}

fn admit_apply(
    state: &FederationState,
    object: Object,
    expected_revision: u64,
    boxes: Vec<SealedSecret>,
) -> Result<Decided, Refusal> {
    let inventory = state.inventory();
    let reference = object.reference();
    if let Some(finding) = check::wrong_federation(inventory, &object) {
        return Err(Refusal {
            kind: RefusalKind::Invalid,
            findings: vec![finding],
        });
    }
    let current = inventory.get(&reference).filter(|stored| !stored.retiring);
    match &current {
        Some(_) if expected_revision == 0 => {
            return Err(Refusal::one(
                RefusalKind::AlreadyExists,
                Path::of("name"),
                "Already declared",
                format!("The {reference} exists already. Import it, or choose another name."),
            ));
        }
        Some(stored) if stored.revision != expected_revision => {
            return Err(changed_since(
                &reference,
                expected_revision,
                stored.revision,
            ));
        }
        None if expected_revision != 0 => return Err(not_found(&reference)),
        Some(_) | None => {}
    }
    secret::check_needed(state, &object, &boxes)?;
    if boxes.is_empty() && current.is_some_and(|stored| stored.spec == object) {
        return Ok(None);
    }
    if let Object::DrPlan(next) = &object {
        plan::check_change(state, next)?;
    }
    let mut next = inventory.clone();
    next.put(object.clone(), state.revision() + 1);
    let findings = check::object(&next, &reference, Missing::Refuse);
    if findings.iter().any(Finding::is_error) {
        return Err(Refusal {
            kind: RefusalKind::Invalid,
            findings,
        });
    }
    let addresses = assign(&next)?;
    let put = Command::Put {
        object,
        addresses,
        boxes,
    };
    Ok(Some((put, findings)))
}

fn admit_delete(
    state: &FederationState,
    reference: ObjectRef,
    expected_revision: u64,
) -> Result<Decided, Refusal> {
    match state.inventory().get(&reference) {
        None => Ok(None),
        Some(stored) if stored.retiring => Ok(None),
        Some(stored) if expected_revision != 0 && stored.revision != expected_revision => Err(
            changed_since(&reference, expected_revision, stored.revision),
        ),
        Some(_) => {
            if let ObjectRef::DrPlan(name) = &reference {
                plan::check_delete(state, name)?;
            }
            Ok(Some((Command::Remove { reference }, Vec::new())))
        }
    }
}

fn admit_enroll(
    state: &FederationState,
    now_unix_s: u64,
    node: NodeName,
    record: NodeRecord,
    identity_key: Option<IdentityKey>,
    token: Option<TokenClaim>,
    boxes: Vec<SealedSecret>,
) -> Result<Command, Refusal> {
    let inventory = state.inventory();
    let present = inventory.nodes.get(&node);
    if let Some(present) = present {
        // Whoever founds has the place by the word of the machine's owner.
        let by = (token.is_some(), identity_key);
        node::check_name(state, &node, present, &record.cluster, by)?;
    }
    let used = |claim: &TokenClaim| {
        state
            .tokens()
            .get(&claim.id)
            .map_or(0, |record| record.uses)
    };
    if let Some(claim) = token.as_ref().filter(|claim| used(claim) >= claim.uses_max) {
        let detail = format!(
            "It was good for {} and has let in that many. Make a new one with `hanse token create`.",
            if claim.uses_max == 1 {
                "one node".to_owned()
            } else {
                format!("{} nodes", claim.uses_max)
            }
        );
        return Err(Refusal::one(
            RefusalKind::TokenUsed,
            Path::of("token"),
            "Token used up",
            detail,
        ));
    }
    let ended = |expires: u64| expires.saturating_add(TOKEN_MEMORY_S) < now_unix_s;
    let tokens = state.tokens().iter();
    let forget_tokens = tokens
        .filter(|(_, token)| ended(token.expires_unix_s))
        .map(|(id, _)| id.clone())
        .collect();
    let mut next: Inventory = inventory.clone();
    let mut placed = record.clone();
    if let Some(present) = present {
        placed.meshes.clone_from(&present.meshes);
    }
    next.nodes.insert(node.clone(), placed);
    let addresses = assign(&next)?;
    let token = token.map(|claim| TokenUse {
        id: claim.id,
        expires_unix_s: claim.expires_unix_s,
    });
    let NodeRecord {
        cluster,
        voter,
        advertise,
        meshes: _,
        enrolled_revision: _,
        health: _,
        sealing_key,
        certified_by: _,
        vote: _,
    } = record;
    if present.is_some() {
        return Ok(Command::Rejoin {
            node,
            voter,
            advertise,
            identity_key,
            token,
            forget_tokens,
            addresses,
            sealing_key,
            boxes,
        });
    }
    Ok(Command::Enroll {
        node,
        cluster,
        voter,
        advertise,
        identity_key,
        token,
        forget_tokens,
        addresses,
        sealing_key,
        boxes,
    })
}

fn admit_key(
    inventory: &Inventory,
    node: NodeName,
    mesh: MeshName,
    public_key: PublicKey,
) -> Result<Option<Command>, Refusal> {
    let place = |record: &NodeRecord| record.meshes.get(&mesh).cloned();
    let own = inventory.nodes.get(&node).and_then(place);
    let Some(own) = own else {
        let detail = format!("The node `{node}` has no place in the VPN mesh `{mesh}`.");
        let kind = RefusalKind::NotFound;
        return Err(Refusal::one(kind, Path::root(), "Not in this mesh", detail));
    };
    if own.public_key == Some(public_key) {
        return Ok(None);
    }
    let mut others = inventory.nodes.iter().filter(|(name, _)| **name != node);
    let holder = others.find(|(_, record)| {
        place(record).is_some_and(|place| place.public_key == Some(public_key))
    });
    if let Some((holder, _)) = holder {
        let detail = format!(
            "The node `{holder}` has this key in the VPN mesh `{mesh}`, and WireGuard tells nodes \
             apart by their keys. A copied data folder brings its keys along: enrol `{node}` anew \
             with an empty one."
        );
        let kind = RefusalKind::AlreadyExists;
        return Err(Refusal::one(
            kind,
            Path::root(),
            "Key of another node",
            detail,
        ));
    }
    Ok(Some(Command::SetKey {
        node,
        mesh,
        public_key,
    }))
}

fn admit_health(
    inventory: &Inventory,
    node: NodeName,
    health: Health,
    reason: String,
) -> Result<Option<Command>, Refusal> {
    let Some(record) = inventory.nodes.get(&node) else {
        let detail = format!("The node `{node}` is not enrolled.");
        let kind = RefusalKind::NotFound;
        return Err(Refusal::one(kind, Path::of("node"), "Not enrolled", detail));
    };
    let now = record.health.state;
    if now == health {
        return Ok(None);
    }
    if !now.may_become(health) {
        let detail = format!("The node `{node}` is {now}, which is never followed by {health}.");
        let kind = RefusalKind::Conflict;
        let path = Path::of("health");
        return Err(Refusal::one(kind, path, "No step of health", detail));
    }
    Ok(Some(Command::SetHealth {
        node,
        health,
        reason,
    }))
}

fn assign(next: &Inventory) -> Result<Vec<AddressChange>, Refusal> {
    addresses::assign(next).map_err(|PoolExhausted { mesh, pool, node }| {
        let detail = format!(
            "Pool {pool} of the VPN mesh `{mesh}` has no address left for the node `{node}`. \
             Add a larger pool."
        );
        let path = Path::of("address_pools").index(pool);
        Refusal::one(RefusalKind::Invalid, path, "Pool too small", detail)
    })
}

fn changed_since(reference: &ObjectRef, expected: u64, found: u64) -> Refusal {
    Refusal::one(
        RefusalKind::Conflict,
        Path::root(),
        "Changed by somebody else",
        format!(
            "The {reference} is at revision {found}; this change was planned against revision \
             {expected}. Nothing was changed. Plan again, read the difference, then apply."
        ),
    )
}

fn not_found(reference: &ObjectRef) -> Refusal {
    Refusal::one(
        RefusalKind::NotFound,
        Path::root(),
        "Not found",
        format!("The {reference} does not exist any more. Plan again to create it."),
    )
}

#[cfg(test)]
mod tests;
