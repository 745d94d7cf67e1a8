//! The plan that a node has, and what becomes of it with what a voter sends.
//!
//! A difference is never trusted blindly: what comes of it must have the digest that came along, or
//! it changes nothing and the node asks for a whole plan.

use hanse_client::convert;
use hanse_client::proto;
use hanse_core::finding::Finding;
use hanse_core::mesh::{NodePlan, PlanDigest};

/// The plan that a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The plan.
    pub plan: NodePlan,
    /// The newest revision that it answers.
    pub revision: u64,
    /// How often to report when nothing changes; 0: the voter did not say.
    pub report_interval_ms: u32,
    digest: PlanDigest,
}

/// Why what a voter sent changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It can't be understood.
    #[error("what the voter sent can't be understood: {0}")]
    Malformed(String),
    /// It is a difference from another plan than the one that is here.
    #[error("the voter sent a difference from another plan than this node's ({0})")]
    Misfit(String),
}

impl Held {
    /// A whole plan, from a voter or from the disk.
    pub fn whole(plan: &proto::NodePlan) -> Result<Self, Unusable> {
        let read = convert::node_plan_from_proto(plan).map_err(malformed)?;
        Ok(Self {
            digest: PlanDigest::of(&read),
            plan: read,
            revision: plan.revision,
            report_interval_ms: plan.report_interval_ms,
        })
    }

    /// The plan's digest.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        self.digest
    }

    /// Takes a difference whose digest came along. After an error this is no plan at all.
    pub fn change(&mut self, change: &proto::PlanChange, digest: &[u8]) -> Result<(), Unusable> {
        if change.base_revision != self.revision {
            let (base, own) = (change.base_revision, self.revision);
            return Err(Unusable::Misfit(format!(
                "of revision {base} and not {own}"
            )));
        }
        let difference = convert::plan_change_from_proto(change).map_err(malformed)?;
        let applied = difference.apply(&mut self.plan, &mut self.digest);
        applied.map_err(|misfit| Unusable::Misfit(misfit.to_string()))?;
        if PlanDigest::from_bytes(digest) != Some(self.digest) {
            return Err(Unusable::Misfit(
                "what comes of it has another digest".to_owned(),
            ));
        }
        self.revision = change.revision;
        self.report_interval_ms = change.report_interval_ms;
        Ok(())
    }

    /// The plan for the disk.
    #[must_use]
    pub fn to_proto(&self) -> proto::NodePlan {
        convert::node_plan_to_proto(&self.plan, self.revision, self.report_interval_ms)
    }
}

fn malformed(findings: Vec<Finding>) -> Unusable {
    let first = findings.first().map(ToString::to_string);
    Unusable::Malformed(first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use hanse_core::mesh::{MeshPlan, NodeDifference};

    use super::*;

    fn plan(meshes: &[&str]) -> NodePlan {
        let mesh = |name: &&str| MeshPlan {
            mesh: name.parse().unwrap(),
            interface: "hanse0".parse().unwrap(),
            addresses: Vec::new(),
            address_pools: Vec::new(),
            listen_port: 1,
            probe_port: 2,
            mtu: None,
            peers: Vec::new(),
            routes: Vec::new(),
            gateway: false,
            snat: false,
            probe_targets: Vec::new(),
        };
        NodePlan {
            node: "a".parse().unwrap(),
            cluster: "home".parse().unwrap(),
            meshes: meshes.iter().map(mesh).collect(),
            limits: Default::default(),
            capabilities: Default::default(),
        }
    }

    fn held(meshes: &[&str]) -> Held {
        let plan = convert::node_plan_to_proto(&plan(meshes), 7, 5000);
        Held::whole(&plan).unwrap()
    }

    fn change(before: &[&str], after: &[&str]) -> (proto::PlanChange, [u8; 16]) {
        let difference = NodeDifference::between(&plan(before), &plan(after));
        let change = convert::plan_change_to_proto(&difference, 7, 9, 1000);
        (change, PlanDigest::of(&plan(after)).to_bytes())
    }

    #[test]
    fn a_difference_from_the_plan_that_is_here_yields_the_newer_one() {
        let (change, digest) = change(&["a", "b"], &["b", "c"]);
        let mut after = held(&["a", "b"]);
        after.change(&change, &digest).unwrap();
        assert_eq!(after.plan, plan(&["b", "c"]));
        assert_eq!((after.revision, after.report_interval_ms), (9, 1000));
    }

    #[test]
    fn a_difference_that_does_not_fit_is_refused() {
        let (fitting, digest) = change(&["a"], &["a", "b"]);
        let misfit = |mut held: Held, change: &proto::PlanChange, digest: &[u8]| {
            matches!(held.change(change, digest), Err(Unusable::Misfit(_)))
        };
        assert!(misfit(held(&["x"]), &fitting, &digest), "of another plan");
        assert!(misfit(held(&["a"]), &fitting, &[0; 16]), "another digest");
        assert!(misfit(held(&["a"]), &fitting, &[]), "no digest");
        let (removes, digest) = change(&["a"], &[]);
        assert!(misfit(held(&["x"]), &removes, &digest), "what is not there");
        let later = Held {
            revision: 8,
            ..held(&["a"])
        };
        assert!(misfit(later, &fitting, &digest), "of another revision");
    }

    #[test]
    fn what_goes_to_the_disk_comes_back() {
        let held = held(&["a"]);
        assert_eq!(Held::whole(&held.to_proto()).unwrap(), held);
    }
}
