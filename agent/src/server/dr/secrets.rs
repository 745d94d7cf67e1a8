//! Secrets of DR plans: they come once, beside the plan, and are sealed to the voters before anything
//! is committed. No answer, log or line of the audit holds one.

use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::object::dr_backup::Password;
use hanse_core::object::{DrPlan, Object};
use hanse_core::secret::{PlanSecret, Purpose, SealedSecret, SecretName};
use hanse_core::state::FederationState;
use tonic::Status;

use super::super::voter::{Voter, invalid};
use super::ways;

/// The longest secret, in bytes.
const LENGTH_MAX: usize = 4096;

/// The secrets that came with an object and that the federation does not have yet, sealed to every
/// voter. Whoever has a version keeps it: another secret has another version.
pub(in super::super) fn seal(
    voter: &Voter,
    object: &Object,
    given: Vec<proto::PlanSecretValue>,
) -> Result<Vec<SealedSecret>, Status> {
    let plan = match object {
        Object::DrPlan(plan) => Some(plan.as_ref()),
        Object::Federation(_) | Object::MemberCluster(_) | Object::VpnMesh(_) => None,
    };
    let state = voter.replica.read();
    let mut boxes = Vec::new();
    for one in given {
        let (plan, secret, path) = plan
            .and_then(|plan| needed(plan, &one.purpose))
            .ok_or_else(|| {
                let purpose: String = one.purpose.chars().take(80).collect();
                let detail = format!("Nothing here needs a secret for `{purpose}`.");
                invalid(Path::root(), "A secret of nothing", &detail)
            })?;
        if one.value.is_empty() || one.value.len() > LENGTH_MAX {
            let detail = format!("A secret has 1 to {LENGTH_MAX} bytes.");
            return Err(invalid(path, "No such secret", &detail));
        }
        // What could never be used is refused before it is kept.
        check(plan, &secret.purpose, &one.value)
            .map_err(|problem| invalid(path, "This can't be the secret", &format!("{problem}.")))?;
        let name = SecretName::Plan(secret);
        if !state.secrets().has(&name) {
            boxes.extend(voter.seal_new(&state, &name, &one.value)?);
        }
    }
    Ok(boxes)
}

fn check(plan: &DrPlan, purpose: &Purpose, value: &[u8]) -> Result<(), String> {
    match purpose {
        Purpose::Backup => Password::try_new(value)
            .map(drop)
            .map_err(|error| error.to_string()),
        Purpose::Tsig | Purpose::Route53 | Purpose::Hook(_) | Purpose::Fence(_) => {
            ways::check(plan, purpose, value).map_err(|error| error.to_string())
        }
    }
}

fn needed<'a>(plan: &'a DrPlan, purpose: &str) -> Option<(&'a DrPlan, PlanSecret, Path)> {
    let purpose: Purpose = purpose.parse().ok()?;
    let mut secrets = plan.secrets().into_iter();
    let (secret, path) = secrets.find(|(secret, _)| secret.purpose == purpose)?;
    Some((plan, secret, path))
}

/// The secret that a plan has for a purpose; none: the plan needs none.
pub(super) fn opened(
    voter: &Voter,
    state: &FederationState,
    plan: &DrPlan,
    purpose: &Purpose,
) -> Result<Option<Vec<u8>>, String> {
    let mut secrets = plan.secrets().into_iter();
    let found = secrets.find(|(secret, _)| secret.purpose == *purpose);
    let Some((secret, path)) = found else {
        return Ok(None);
    };
    if !state.secrets().has(&SecretName::Plan(secret.clone())) {
        return Err(format!(
            "the federation has no secret for it, since it was restored from a backup: give {path} \
             again, with a new version beside it"
        ));
    }
    voter.open_plan_secret(state, secret).map(Some)
}
