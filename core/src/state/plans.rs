//! What committed entries make of DR plans: a record, a lease, and an address that leads.

use super::FederationState;
use crate::command::Event;
use crate::dr::change::PlanChange;
use crate::lease::LeaseChange;
use crate::name::{LeaseName, PlanName};
use crate::object::{Object, ObjectRef};

impl FederationState {
    /// A plan that is declared has a record and the secrets that it needs, and its address leads to its
    /// primary.
    pub(super) fn declare_plan(&mut self, object: &Object, at_unix_s: u64) {
        let Object::DrPlan(spec) = object else {
            return;
        };
        let ttl_ms = spec.timings().lease_ttl.value().as_millis();
        let ttl_ms = u64::try_from(ttl_ms).unwrap_or(u64::MAX);
        self.leases.set_ttl(&LeaseName::from(&spec.name), ttl_ms);
        let needed: Vec<_> = spec.secrets().into_iter().map(|(name, _)| name).collect();
        self.secrets.keep_of_plan(&spec.name, &needed);
        let record = self.plans.entry(spec.name.clone()).or_default();
        // What was due before somebody declared it is nobody's.
        record.drilled_unix_s = record.drilled_unix_s.max(at_unix_s);
        let primary = record.primary_node().cloned();
        let leading = self.inventory.leading_addresses(primary.as_ref());
        let plans = &self.inventory.dr_plans;
        let is_known = |address| {
            plans
                .values()
                .any(|plan| plan.spec.service_address == Some(address))
        };
        // One that the plan had before is nobody's any more.
        let former: Vec<_> = leading
            .into_iter()
            .filter(|address| !is_known(*address))
            .collect();
        for address in former {
            self.inventory.lead_to(address, None);
        }
        if let Some(address) = spec.service_address {
            self.inventory.lead_to(address, primary.as_ref());
        }
    }

    /// A plan that is taken back has neither record nor lease nor secret.
    pub(super) fn forget_plan(&mut self, reference: &ObjectRef) {
        let ObjectRef::DrPlan(plan) = reference else {
            return;
        };
        self.plans.remove(plan);
        self.secrets.keep_of_plan(plan, &[]);
        let lease = LeaseName::from(plan);
        self.leases
            .apply(&LeaseChange::Released { lease }, self.revision);
    }

    /// Takes a plan a step further; with the step comes who asked for it.
    pub(super) fn change_plan(
        &mut self,
        plan: &PlanName,
        (change, asked_by): (&PlanChange, Option<&String>),
        at_unix_s: u64,
    ) -> Vec<Event> {
        let Some(record) = self.plans.get_mut(plan) else {
            return Vec::new();
        };
        record.apply(change, (self.revision, at_unix_s));
        if let PlanChange::Promoted { lease_ttl_ms, .. } = change
            && let Some(node) = record.primary_node().cloned()
        {
            let granted = LeaseChange::Granted {
                lease: LeaseName::from(plan),
                holder: node.clone(),
                ttl_ms: *lease_ttl_ms,
            };
            self.leases.apply(&granted, self.revision);
            let spec = self.inventory.dr_plans.get(plan).map(|plan| &plan.spec);
            if let Some(address) = spec.and_then(|spec| spec.service_address) {
                self.inventory.lead_to(address, Some(&node));
            }
        }
        if change.is_mark() {
            return Vec::new();
        }
        vec![Event::Plan {
            plan: plan.clone(),
            change: change.for_history(),
            asked_by: asked_by.cloned(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::admission::Refusal;
    use crate::command::{PlanRequest, Request};
    use crate::dr::change::PlanChange;
    use crate::dr::choose::SyncSet;
    use crate::dr::copies::{copies_of, placement};
    use crate::dr::duty::Duty;
    use crate::dr::position::Position;
    use crate::dr::record::{Outcome, Phase, RunKind};
    use crate::mesh::plan::plan;
    use crate::name::PlanName;
    use crate::object::dr_plan::Fencing;
    use crate::object::{DrPlan, Object, ObjectRef};
    use crate::testing::{Builder, dr_plan};

    const SERVICE: &str = "10.0.0.200";

    fn name() -> PlanName {
        "orders".parse().unwrap()
    }

    /// Three sites with a node each, a mesh, and a plan whose copies have their nodes.
    fn federation() -> Builder {
        let mut federation = Builder::new()
            .site("a")
            .site("b")
            .site("c")
            .mesh(&["10.0.0.0/24"]);
        for site in ["a", "b", "c"] {
            federation.enroll(&format!("{site}-1"), site);
        }
        federation.declare(Object::DrPlan(Box::new(DrPlan {
            automatic_failover: false,
            service_address: Some(SERVICE.parse().unwrap()),
            ..dr_plan()
        })));
        while let Some(change) = next_placement(&federation) {
            change_plan(&mut federation, change, None).unwrap();
        }
        federation
    }

    fn next_placement(federation: &Builder) -> Option<PlanChange> {
        let inventory = federation.state.inventory();
        let spec = &inventory.dr_plans.get(&name())?.spec;
        placement(inventory, spec, federation.state.plans().get(&name())?)
    }

    fn change_plan(
        federation: &mut Builder,
        change: PlanChange,
        ended_epoch: Option<u64>,
    ) -> Result<(), Refusal> {
        let record_revision = federation.state.plans()[&name()].revision;
        let spec_revision = federation.state.inventory().dr_plans[&name()].revision;
        federation.ask(Request::Plan(PlanRequest {
            plan: name(),
            record_revision,
            spec_revision,
            change,
            asked_by: None,
            ended_epoch,
        }))
    }

    fn begin(federation: &mut Builder) {
        let begun = PlanChange::Begun {
            kind: RunKind::Start,
            phase: Phase::Fencing,
            to: None,
            reason: "a test".to_owned(),
            asked: false,
            allows_data_loss: false,
        };
        change_plan(federation, begun, None).unwrap();
    }

    fn promote(federation: &mut Builder, site: &str, ended: Option<u64>) -> Result<u64, Refusal> {
        let promoted = PlanChange::Promoted {
            cluster: site.parse().unwrap(),
            position: Position::default(),
            lost_bytes: None,
            fences_itself: true,
            set: SyncSet::default(),
            promised: SyncSet::default(),
            lease_ttl_ms: 10_000,
        };
        change_plan(federation, promoted, ended)?;
        Ok(federation.state.plans()[&name()].epoch)
    }

    fn duty_of(federation: &Builder, node: &str) -> Duty {
        let mut copies = copies_of(&federation.state, &node.parse().unwrap());
        copies.remove(0).1.duty
    }

    /// Over which peer a node reaches the service address.
    fn way(federation: &Builder, from: &str) -> Vec<String> {
        let none = |_: &_, _: &_, _: &_| None;
        let plan = plan(federation.state.inventory(), &from.parse().unwrap(), &none).unwrap();
        let address: IpAddr = SERVICE.parse().unwrap();
        let peers = plan.meshes[0].peers.iter();
        let leads = peers.filter(|peer| {
            let mut networks = peer.allowed_ips.iter();
            networks.any(|network| network.address() == address)
        });
        leads.map(|peer| peer.node.to_string()).collect()
    }

    #[test]
    fn whoever_is_promoted_has_the_lease_and_the_address_leads_there() {
        let mut federation = federation();
        assert_eq!(duty_of(&federation, "a-1"), Duty::Wait);
        begin(&mut federation);
        let first = promote(&mut federation, "a", None).unwrap();
        let lease = (&name()).into();
        let held = federation.state.leases().get(&lease).unwrap();
        assert_eq!((held.holder.as_str(), held.epoch), ("a-1", first));
        assert_eq!(way(&federation, "c-1"), ["a-1"]);
        assert!(matches!(duty_of(&federation, "a-1"), Duty::Lead { epoch, .. } if epoch == first));
        assert!(matches!(duty_of(&federation, "b-1"), Duty::Follow { .. }));
        promote(&mut federation, "b", None).unwrap_err();
        promote(&mut federation, "b", Some(first)).unwrap();
        assert_eq!(way(&federation, "c-1"), ["b-1"]);
        assert_eq!(way(&federation, "b-1"), Vec::<String>::new());
    }

    #[test]
    fn a_decision_on_what_has_changed_since_is_refused() {
        let mut federation = federation();
        let overtaken = PlanRequest {
            plan: name(),
            record_revision: 1,
            spec_revision: 1,
            change: PlanChange::Paused(true),
            asked_by: None,
            ended_epoch: None,
        };
        federation.ask(Request::Plan(overtaken)).unwrap_err();
    }

    #[test]
    fn a_plan_goes_with_its_lease_and_its_way_but_not_during_a_run() {
        let mut federation = federation();
        begin(&mut federation);
        promote(&mut federation, "a", None).unwrap();
        let delete = || Request::Delete {
            reference: ObjectRef::DrPlan(name()),
            expected_revision: 0,
        };
        federation.ask(delete()).unwrap_err();
        let outcome = Outcome::Moved;
        change_plan(&mut federation, PlanChange::Ended { outcome }, None).unwrap();
        federation.ask(delete()).unwrap();
        assert!(federation.state.leases().is_empty() && federation.state.plans().is_empty());
        assert_eq!(way(&federation, "c-1"), Vec::<String>::new());
    }

    #[test]
    fn a_service_address_is_given_to_no_node() {
        let mut federation = federation();
        for number in 2..210 {
            federation.enroll(&format!("c-{number}"), "c");
        }
        let service: IpAddr = SERVICE.parse().unwrap();
        let nodes = federation.state.inventory().nodes.values();
        let mut places = nodes.flat_map(|node| node.meshes.values());
        assert!(places.all(|place| !place.addresses.contains(&service)));
    }

    #[test]
    fn a_plan_of_a_restored_federation_waits_for_somebodys_word() {
        let mut federation = federation();
        begin(&mut federation);
        promote(&mut federation, "a", None).unwrap();
        let restored = federation.state.for_backup().restored(1_800_000_000);
        let record = &restored.plans()[&name()];
        assert_eq!(record.held, Some("a-1".parse().unwrap()));
        assert_eq!(record.run, None);
    }

    #[test]
    fn while_a_run_waits_for_a_fence_only_how_that_is_reached_may_change() {
        let fenced = |program: &str| Fencing::Command {
            command: vec![program.to_owned()],
            timeout: "30s".parse().unwrap(),
        };
        let mut federation = federation();
        let mut spec = federation.state.inventory().dr_plans[&name()].spec.clone();
        spec.fencing.insert("a".parse().unwrap(), fenced("wrong"));
        federation.declare(Object::DrPlan(Box::new(spec.clone())));
        begin(&mut federation);
        let mut declare = |spec: &DrPlan| {
            let declared = federation.try_declare(Object::DrPlan(Box::new(spec.clone())));
            declared.map_err(|refused| refused.findings[0].summary.clone())
        };
        let refused = Err("A run is under way".to_owned());
        let mut other = spec.clone();
        other.accept_pause_risk = true;
        assert_eq!(declare(&other), refused);
        let mut unfenced = spec.clone();
        unfenced.fencing.clear();
        assert_eq!(declare(&unfenced), refused);
        let mut by_lease = spec.clone();
        by_lease
            .fencing
            .insert("a".parse().unwrap(), Fencing::Lease);
        assert_eq!(declare(&by_lease), refused);
        spec.fencing.insert("a".parse().unwrap(), fenced("right"));
        assert_eq!(declare(&spec), Ok(()));
    }

    #[test]
    fn a_copy_moves_when_the_plan_names_another_node_and_not_when_others_come() {
        let mut federation = federation();
        federation.enroll("b-2", "b");
        assert_eq!(next_placement(&federation), None);
        let mut spec = federation.state.inventory().dr_plans[&name()].spec.clone();
        spec.nodes
            .insert("b".parse().unwrap(), "b-2".parse().unwrap());
        federation.declare(Object::DrPlan(Box::new(spec.clone())));
        assert!(matches!(
            next_placement(&federation),
            Some(PlanChange::Placed { .. })
        ));
        spec.standbys.retain(|site| site.as_str() != "b");
        spec.nodes.clear();
        federation.declare(Object::DrPlan(Box::new(spec)));
        assert!(matches!(
            next_placement(&federation),
            Some(PlanChange::Unplaced { .. })
        ));
    }
}
