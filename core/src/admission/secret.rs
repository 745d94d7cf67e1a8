//! Whether boxes may be kept: each for a voter that has a key to open it with.

use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::name::NodeName;
use crate::object::Object;
use crate::secret::{PlanSecret, SealedSecret, SecretName};
use crate::state::FederationState;

use super::{Refusal, RefusalKind};

/// Every box is for a voter with a sealing key.
pub(super) fn check_recipients(
    inventory: &Inventory,
    boxes: &[SealedSecret],
) -> Result<(), Refusal> {
    let is_entitled = |node: &NodeName| {
        let record = inventory.nodes.get(node);
        record.is_some_and(|record| record.voter && record.sealing_key.is_some())
    };
    match boxes.iter().find(|secret| !is_entitled(&secret.recipient)) {
        None => Ok(()),
        Some(secret) => Err(stray(secret)),
    }
}

/// Every box is for the node that comes in.
pub(super) fn check_label(node: &NodeName, boxes: &[SealedSecret]) -> Result<(), Refusal> {
    match boxes.iter().find(|secret| secret.recipient != *node) {
        None => Ok(()),
        Some(secret) => Err(stray(secret)),
    }
}

/// Every secret that a plan needs is sealed already or comes with it, and nothing else comes.
pub(super) fn check_needed(
    state: &FederationState,
    object: &Object,
    boxes: &[SealedSecret],
) -> Result<(), Refusal> {
    let needed = match object {
        Object::DrPlan(plan) => plan.secrets(),
        Object::Federation(_) | Object::MemberCluster(_) | Object::VpnMesh(_) => Vec::new(),
    };
    check_recipients(state.inventory(), boxes)?;
    let is_needed = |name: &SecretName| match name {
        SecretName::Plan(secret) => needed.iter().any(|(needed, _)| needed == secret),
        SecretName::AuthorityKey(_) | SecretName::PresharedKeys => false,
    };
    if let Some(other) = boxes.iter().find(|secret| !is_needed(&secret.name)) {
        let detail = format!("The object does not need the secret `{}`.", other.name);
        let kind = RefusalKind::Conflict;
        return Err(Refusal::one(
            kind,
            Path::root(),
            "A secret of another object",
            detail,
        ));
    }
    let lacking = needed.into_iter().filter(|(secret, _)| {
        let name = SecretName::Plan(secret.clone());
        !state.secrets().has(&name) && !boxes.iter().any(|sealed| sealed.name == name)
    });
    let findings: Vec<_> = lacking.map(|(secret, path)| lacks(&secret, path)).collect();
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Refusal {
            kind: RefusalKind::Invalid,
            findings,
        }),
    }
}

fn lacks(secret: &PlanSecret, path: Path) -> Finding {
    let detail = format!(
        "The federation has no secret of version {} for this. Give it together with that version; if \
         it was given before, the federation was restored since: give it with a new version.",
        secret.version
    );
    Finding::error(path, "The secret is missing", detail)
}

fn stray(secret: &SealedSecret) -> Refusal {
    let detail = format!(
        "The secret `{}` is sealed to `{}`, which is no voter that could open it.",
        secret.name, secret.recipient
    );
    let kind = RefusalKind::Conflict;
    Refusal::one(
        kind,
        Path::root(),
        "Sealed to somebody who is not entitled",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::RefusalKind;
    use crate::command::Request;
    use crate::object::dr_redirect::{Dns, TsigAlgorithm};
    use crate::object::{DrPlan, ObjectRef};
    use crate::secret::{SealedBox, SealingKey};
    use crate::testing::{Builder, dr_plan};

    /// Three sites, a mesh, and a voter that opens secrets.
    fn federation() -> Builder {
        let sites = Builder::new().site("a").site("b").site("c");
        let mut federation = sites.mesh(&["10.0.0.0/24"]);
        let request = Request::Enroll {
            node: "a-1".parse().unwrap(),
            cluster: "a".parse().unwrap(),
            voter: true,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: Some(SealingKey::from([1; 32])),
            boxes: Vec::new(),
        };
        federation.ask(request).unwrap();
        federation
    }

    fn plan(tsig_secret_version: u64) -> DrPlan {
        let dns = Dns {
            server: "192.0.2.53:53".parse().unwrap(),
            zone: "example.org".parse().unwrap(),
            record: "app.example.org".parse().unwrap(),
            ttl: "30s".parse().unwrap(),
            tsig_key_name: "hanse".parse().unwrap(),
            algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret_version,
            addresses: Default::default(),
        };
        DrPlan {
            automatic_failover: false,
            dns: Some(dns),
            ..dr_plan()
        }
    }

    fn apply(
        federation: &mut Builder,
        plan: DrPlan,
        boxes: &[&str],
    ) -> Result<(), (RefusalKind, String)> {
        let stored = federation.state.inventory().dr_plans.get(&plan.name);
        let expected_revision = stored.map_or(0, |stored| stored.revision);
        let boxes = boxes.iter().map(|name| SealedSecret {
            name: name.parse().unwrap(),
            recipient: "a-1".parse().unwrap(),
            sealed: SealedBox {
                version: 1,
                bytes: vec![7; 4],
            },
        });
        let request = Request::Apply {
            object: Object::DrPlan(Box::new(plan)),
            expected_revision,
            boxes: boxes.collect(),
        };
        let asked = federation.ask(request);
        asked.map_err(|refusal| (refusal.kind, refusal.findings[0].path.to_string()))
    }

    fn names(federation: &Builder) -> Vec<String> {
        let names = federation.state.secrets().names();
        names.map(ToString::to_string).collect()
    }

    #[test]
    fn a_plan_keeps_the_secret_of_its_version_and_no_other() {
        let mut federation = federation();
        let missing = Err((RefusalKind::Invalid, "dns.tsig_secret_wo".to_owned()));
        assert_eq!(apply(&mut federation, plan(1), &[]), missing);
        apply(&mut federation, plan(1), &["plan/orders/tsig/1"]).unwrap();
        assert_eq!(names(&federation), ["plan/orders/tsig/1"]);

        let mut changed = plan(1);
        changed.accept_pause_risk = true;
        apply(&mut federation, changed, &[]).unwrap();
        assert_eq!(names(&federation), ["plan/orders/tsig/1"]);
        assert_eq!(apply(&mut federation, plan(2), &[]), missing);

        apply(&mut federation, plan(2), &["plan/orders/tsig/2"]).unwrap();
        assert_eq!(names(&federation), ["plan/orders/tsig/2"]);
        let reference = ObjectRef::DrPlan("orders".parse().unwrap());
        let request = Request::Delete {
            reference,
            expected_revision: 0,
        };
        federation.ask(request).unwrap();
        assert_eq!(names(&federation), Vec::<String>::new());
    }

    #[test]
    fn a_secret_that_the_plan_does_not_need_is_refused() {
        let mut federation = federation();
        for stray in ["plan/orders/tsig/2", "plan/other/tsig/1", "preshared-keys"] {
            let boxes = ["plan/orders/tsig/1", stray];
            let refused = apply(&mut federation, plan(1), &boxes).unwrap_err();
            assert_eq!(refused.0, RefusalKind::Conflict, "{stray}");
        }
    }

    #[test]
    fn a_plan_without_secrets_is_stored_as_before_and_a_restored_one_has_lost_its_own() {
        let mut federation = federation();
        apply(&mut federation, plan(1), &["plan/orders/tsig/1"]).unwrap();
        let kept = federation.state.for_backup();
        assert_eq!(kept.secrets().names().count(), 0);
        let command = crate::command::Command::Put {
            object: Object::DrPlan(Box::new(dr_plan())),
            addresses: Vec::new(),
            boxes: Vec::new(),
        };
        let stored = serde_json::to_string(&command).unwrap();
        assert!(!stored.contains("boxes"), "{stored}");
    }
}
