//! `hanse_dr_plan`: a workload with one primary and standbys in other member clusters.

use std::collections::BTreeMap;

use hanse_client::{Snapshot, proto};
use hanse_core::finding::Path;
use hanse_core::name::FederationName;
use hanse_core::object::dr_plan::LAG_MAX_DEFAULT;
use hanse_core::object::{DrPlan, Object, ObjectRef};
use terraform_plugin::{
    Attr, Cx, Diagnostics, Model, Path as Place, PlanCx, Timeouts, async_trait,
};

use crate::declared::{
    Change, Declared, Operation, known_list, known_map, known_object, name_within, non_empty,
    object, wait_for,
};
use crate::dr_backup::BackupModel;
use crate::dr_convergence;
use crate::dr_drill::DrillPolicyModel;
use crate::dr_fencing::{self, FencingModel};
use crate::dr_parts::{PredictionModel, ReplicationOverride, TimingsModel};
use crate::dr_redirect::{self, DnsModel, HookModel, Route53Model};
use crate::dr_status;
use crate::dr_workload::{WorkloadModel, one_kind};
use crate::duration::duration;
use crate::session::Session;
use crate::unknowns::Unknowns;

/// A workload with one primary and standbys in other member clusters: who may take over, how that is
/// made safe, and how much may be lost. Destroying it leaves the primary running and deletes no data.
///
/// Who is primary is the federation's to change: after a failover a plan shows no changes and one
/// warning that names the promoted site. Changing `home` moves nothing; `hanse failback` and the
/// action `hanse_failback` do. The apply returns once a primary takes writes and every standby follows
/// it. Copies are made by the nodes: an apply that is interrupted, or runs out of time, stops none.
#[derive(Clone, Model)]
pub(crate) struct DrPlanModel {
    /// `federation/name`.
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    /// The federation that it belongs to.
    #[attribute(required, requires_replace, identity)]
    pub(crate) federation: Attr<String>,
    /// Its name: lower-case letters, digits and hyphens.
    #[attribute(required, requires_replace, identity)]
    pub(crate) name: Attr<String>,
    /// The member cluster where the primary belongs.
    #[attribute(required)]
    pub(crate) home: Attr<String>,
    /// The member clusters that may take over. The order breaks ties only: who has most goes first.
    #[attribute(required)]
    pub(crate) standbys: Attr<Vec<Attr<String>>>,
    /// Which node of a member cluster has the copy. A site's only node need not be named.
    #[attribute(optional, computed, default = BTreeMap::<String, Attr<String>>::new())]
    pub(crate) nodes: Attr<BTreeMap<String, Attr<String>>>,
    /// What is protected: one of the kinds below.
    #[attribute(required, validate = one_kind)]
    pub(crate) workload: Attr<WorkloadModel>,
    /// When a write counts as done. By default as the federation has it.
    #[attribute(optional)]
    pub(crate) replication: Attr<ReplicationOverride>,
    /// Timings that fit together: `fast` (within a LAN), `standard` or `wide` (slow links). By default
    /// `standard`, unless `timings` says more.
    #[attribute(optional)]
    pub(crate) preset: Attr<String>,
    /// Timings of its own, instead of a preset.
    #[attribute(optional)]
    pub(crate) timings: Attr<TimingsModel>,
    /// How much may be lost, as time, like `5s`; `0s` needs `sync`. A plan that can't keep it is
    /// refused.
    #[attribute(optional, validate = duration)]
    pub(crate) rpo: Attr<String>,
    /// How long a failover may take, like `20s`. Timings that can't keep it are refused.
    #[attribute(optional, validate = duration)]
    pub(crate) rto: Attr<String>,
    /// Whether a failover needs nobody's word. It needs three voters or more, and a majority of them
    /// outside each site that has a copy.
    #[attribute(optional, computed, default = false)]
    pub(crate) automatic_failover: Attr<bool>,
    /// How the primary comes home: `manual` or `automatic`.
    #[attribute(optional, computed, default = "manual")]
    pub(crate) failback: Attr<String>,
    /// What an asynchronous standby may lack in a failover, like `1MiB`.
    #[attribute(optional, computed, default = LAG_MAX_DEFAULT.to_owned())]
    pub(crate) max_lag_on_failover: Attr<String>,
    /// How a site's primary is fenced, by member cluster. By default by its lease.
    #[attribute(optional)]
    pub(crate) fencing: Attr<BTreeMap<String, FencingModel>>,
    /// Accepts that a virtual machine which was paused may write for a moment when it goes on.
    #[attribute(optional, computed, default = false)]
    pub(crate) accept_pause_risk: Attr<bool>,
    /// An address in the mesh that follows the primary.
    #[attribute(optional)]
    pub(crate) service_address: Attr<String>,
    /// A record on a DNS server that follows the primary, for clients outside the mesh.
    #[attribute(optional)]
    pub(crate) dns: Attr<DnsModel>,
    /// A record of Amazon Route 53 that follows the primary.
    #[attribute(optional)]
    pub(crate) route53: Attr<Route53Model>,
    /// Who is told of the plan's runs, by a name of its own.
    #[attribute(optional)]
    pub(crate) hooks: Attr<BTreeMap<String, HookModel>>,
    /// From what the workload can be restored as it was at any time. For `postgresql` only: the snapshots
    /// of a `directory` are its backup, and those of a `command` are its own programs' to make.
    #[attribute(optional)]
    pub(crate) backup: Attr<BackupModel>,
    /// How the plan is proved before it is needed.
    #[attribute(optional)]
    pub(crate) drill: Attr<DrillPolicyModel>,
    /// What an apply waits for: `proved` (a primary takes writes and every standby follows) or
    /// `accepted` (committed).
    #[attribute(optional, computed, default = "proved", validate = wait_for)]
    pub(crate) wait_for: Attr<String>,
    /// The member cluster that is primary, as the last read found it; null: none was yet. The
    /// federation changes it.
    #[attribute(computed)]
    pub(crate) active_cluster: Attr<String>,
    /// The lease under which it is, higher with each promotion; null: none was yet. The federation
    /// changes it.
    #[attribute(computed)]
    pub(crate) fence_epoch: Attr<u64>,
    /// How long a failover takes at most, from this declaration alone: the longest of all that an
    /// automatic failover covers, which is the death of the primary's host, or of its site, with the
    /// voters' leader. `hanse dr PLAN` and `hanse_dr_status` tell each path.
    #[attribute(computed)]
    pub(crate) predicted: Attr<PredictionModel>,
    /// How long each operation may take. By default 10 minutes for a create or an update, 5 for a
    /// delete, 1 for a read. Copies that take longer to make go on by themselves.
    #[block]
    pub(crate) timeouts: Option<Timeouts>,
}

#[async_trait]
impl Declared for DrPlanModel {
    const TYPE_NAME: &'static str = "hanse_dr_plan";
    const NOUN: &'static str = "DR plan";

    fn id(&self) -> &Attr<String> {
        &self.id
    }

    fn reference(&self) -> Option<ObjectRef> {
        self.federation.as_known()?;
        self.name.as_known()?.parse().ok().map(ObjectRef::DrPlan)
    }

    fn reference_of_id(federation: &FederationName, id: &str) -> Option<ObjectRef> {
        name_within(federation, id)?
            .parse()
            .ok()
            .map(ObjectRef::DrPlan)
    }

    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::object::Kind {
        let at = Path::of;
        let fencing = unknowns.optional(at("fencing"), &self.fencing);
        let fencing = fencing.map(|sites| {
            let each = sites.iter();
            each.map(|(site, how)| (site.clone(), how.to_wire(site, unknowns)))
                .collect()
        });
        let workload = unknowns.optional(at("workload"), &self.workload);
        let workload = workload.map(|workload| workload.to_wire(unknowns));
        let replication = unknowns.optional(at("replication"), &self.replication);
        let replication = replication.map(|policy| policy.to_wire(unknowns));
        let timings = unknowns.optional(at("timings"), &self.timings);
        let timings = timings.map(|timings| timings.to_wire(unknowns));
        let dns = unknowns.optional(at("dns"), &self.dns);
        let dns = dns.map(|dns| dns.to_wire(unknowns));
        let route53 = unknowns.optional(at("route53"), &self.route53);
        let route53 = route53.map(|zone| zone.to_wire(unknowns));
        let drill = unknowns.optional(at("drill"), &self.drill);
        let drill = drill.map(|drill| drill.to_wire(unknowns));
        let hooks = unknowns.optional(at("hooks"), &self.hooks);
        let hooks = hooks.map(|hooks| {
            let each = hooks.iter();
            each.map(|(name, hook)| (name.clone(), hook.to_wire(name, unknowns)))
                .collect()
        });
        let backup = unknowns.optional(at("backup"), &self.backup);
        let backup = backup.map(|backup| backup.to_wire(unknowns));
        let lag_max = unknowns.with_default(
            at("max_lag_on_failover"),
            &self.max_lag_on_failover,
            LAG_MAX_DEFAULT.to_owned(),
        );
        let plan = proto::DrPlan {
            federation: unknowns.value(at("federation"), &self.federation),
            name: unknowns.value(at("name"), &self.name),
            home: unknowns.value(at("home"), &self.home),
            standbys: unknowns.list(at("standbys"), &self.standbys),
            nodes: unknowns.map(at("nodes"), &self.nodes),
            workload,
            replication,
            preset: unknowns.value(at("preset"), &self.preset),
            timings,
            rpo: unknowns.value(at("rpo"), &self.rpo),
            rto: unknowns.value(at("rto"), &self.rto),
            automatic_failover: unknowns.value(at("automatic_failover"), &self.automatic_failover),
            failback: unknowns.value(at("failback"), &self.failback),
            max_lag_on_failover: lag_max,
            fencing: fencing.unwrap_or_default(),
            accept_pause_risk: unknowns.value(at("accept_pause_risk"), &self.accept_pause_risk),
            service_address: unknowns.value(at("service_address"), &self.service_address),
            dns,
            route53,
            hooks: hooks.unwrap_or_default(),
            backup,
            drill,
        };
        // What is found at one attribute and rests on others as well.
        for (path, others) in [
            ("timings", &["timings", "preset"][..]),
            ("rto", &["timings", "preset", "dns", "route53", "fencing"]),
            ("backup", &["workload"]),
            ("dns", &["home", "standbys"]),
            ("route53", &["home", "standbys"]),
            ("rpo", &["timings", "preset", "replication", "workload"]),
            ("replication", &["standbys", "workload"]),
            ("nodes", &["home", "standbys"]),
            ("drill", &["workload"]),
            (
                "automatic_failover",
                &["home", "standbys", "workload", "fencing"],
            ),
            (
                "fencing",
                &["home", "standbys", "replication", "accept_pause_risk"],
            ),
        ] {
            for other in others {
                unknowns.rests_on(at(path), &at(other));
            }
        }
        proto::object::Kind::DrPlan(plan)
    }

    fn secrets(&self) -> Vec<proto::PlanSecretValue> {
        let mut secrets = dr_redirect::secrets(&self.dns, &self.route53, &self.hooks);
        secrets.extend(dr_fencing::secrets(&self.fencing));
        secrets.extend(self.backup.as_known().and_then(BackupModel::secret));
        secrets
    }

    fn from_wire(kind: proto::object::Kind) -> Option<Self> {
        let proto::object::Kind::DrPlan(wire) = kind else {
            return None;
        };
        let hooks = wire.hooks.into_iter();
        let hooks: BTreeMap<_, _> = hooks
            .map(|(name, hook)| (name, HookModel::from(hook)))
            .collect();
        let fencing = wire.fencing.into_iter();
        let fencing: BTreeMap<_, _> = fencing
            .map(|(site, how)| (site, FencingModel::from(how)))
            .collect();
        Some(Self {
            id: Attr::Known(format!("{}/{}", wire.federation, wire.name)),
            federation: Attr::Known(wire.federation),
            name: Attr::Known(wire.name),
            home: Attr::Known(wire.home),
            standbys: known_list(wire.standbys),
            nodes: known_map(wire.nodes),
            workload: Attr::from(wire.workload.map(WorkloadModel::from)),
            replication: Attr::from(wire.replication.map(ReplicationOverride::from)),
            preset: non_empty(wire.preset),
            timings: Attr::from(wire.timings.map(TimingsModel::from)),
            rpo: non_empty(wire.rpo),
            rto: non_empty(wire.rto),
            automatic_failover: Attr::Known(wire.automatic_failover),
            failback: Attr::Known(wire.failback),
            max_lag_on_failover: Attr::Known(wire.max_lag_on_failover),
            fencing: match fencing.is_empty() {
                true => Attr::Null,
                false => Attr::Known(fencing),
            },
            accept_pause_risk: Attr::Known(wire.accept_pause_risk),
            service_address: non_empty(wire.service_address),
            dns: Attr::from(wire.dns.map(DnsModel::from)),
            route53: Attr::from(wire.route53.map(Route53Model::from)),
            hooks: match hooks.is_empty() {
                true => Attr::Null,
                false => Attr::Known(hooks),
            },
            backup: Attr::from(wire.backup.map(BackupModel::from)),
            drill: Attr::from(wire.drill.map(DrillPolicyModel::from)),
            wait_for: Attr::from("proved"),
            active_cluster: Attr::Null,
            fence_epoch: Attr::Null,
            predicted: Attr::Null,
            timeouts: None,
        })
    }

    fn complete(&mut self, _: &Snapshot) {
        if let (Some(federation), Some(name)) = (self.federation.as_known(), self.name.as_known()) {
            self.id = Attr::Known(format!("{federation}/{name}"));
        }
        if let Some(predicted) = self.predict() {
            self.predicted = Attr::Known(predicted);
        }
    }

    fn keep_local(&mut self, prior: &Self) {
        self.wait_for.clone_from(&prior.wait_for);
        self.timeouts.clone_from(&prior.timeouts);
        // To write none is to leave it out.
        if self.fencing.is_null() && prior.fencing.as_known().is_some_and(|it| it.is_empty()) {
            self.fencing = Attr::Known(BTreeMap::new());
        }
    }

    fn warn(&self, cx: &PlanCx<Session>, prior: Option<&Self>) {
        let Some(prior) = prior.filter(|prior| prior.reference() == self.reference()) else {
            return;
        };
        if let Some((summary, detail)) = self.away_from_home(prior) {
            cx.warn_at(Place::root("home"), summary, detail);
        }
    }

    async fn observe(&mut self, cx: &Cx<Session>) -> Result<(), Diagnostics> {
        // Whatever comes of the look, an apply leaves nothing unknown.
        if self.active_cluster.is_unknown() {
            self.active_cluster = Attr::Null;
        }
        if self.fence_epoch.is_unknown() {
            self.fence_epoch = Attr::Null;
        }
        let Some(ObjectRef::DrPlan(plan)) = self.reference() else {
            return Ok(());
        };
        let status = dr_status::look(cx.client()?, &plan).await?;
        self.active_cluster = non_empty(status.primary);
        self.fence_epoch = Attr::from(Some(status.fence_epoch).filter(|epoch| *epoch > 0));
        Ok(())
    }

    async fn settle(&self, cx: &Cx<Session>, change: &Change) -> Result<(), Diagnostics> {
        let accepted = self.wait_for.as_deref() == Attr::Known("accepted");
        // What is left of a plan that was deleted is its primary, which goes on.
        if accepted || change.operation == Operation::Delete {
            return Ok(());
        }
        match known_object(self)? {
            Object::DrPlan(plan) => dr_convergence::wait(cx, &plan, change).await,
            Object::Federation(_) | Object::MemberCluster(_) | Object::VpnMesh(_) => Ok(()),
        }
    }
}

impl DrPlanModel {
    /// How long a failover takes; none as long as what that rests on is not known.
    fn predict(&self) -> Option<PredictionModel> {
        let mut unknowns = Unknowns::default();
        let plan = self.plan(&mut unknowns)?;
        let rests_on = ["preset", "timings", "dns", "route53"];
        let is_unknown = rests_on.map(|name| unknowns.is_unknown(&Path::of(name)));
        let is_timed = match &self.fencing {
            Attr::Unknown => false,
            Attr::Null => true,
            Attr::Known(sites) => sites.values().all(FencingModel::is_timed),
        };
        (is_unknown == [false; 4] && is_timed).then(|| PredictionModel::of(&plan))
    }

    fn plan(&self, unknowns: &mut Unknowns) -> Option<DrPlan> {
        match object(self, unknowns).ok()? {
            Object::DrPlan(plan) => Some(*plan),
            Object::Federation(_) | Object::MemberCluster(_) | Object::VpnMesh(_) => None,
        }
    }

    /// Whether the primary is elsewhere than the plan says it belongs: what is so, and what is to be
    /// done about it.
    fn away_from_home(&self, prior: &Self) -> Option<(String, String)> {
        let (home, name) = (self.home.as_known()?, self.name.as_known()?);
        let active = prior.active_cluster.as_known()?;
        if active == home {
            return None;
        }
        let command = format!("`hanse failback {name}`");
        if prior.home.as_known() != Some(home) {
            let summary = "Changing home moves nothing".to_owned();
            let detail = format!(
                "The primary of the DR plan `{name}` stays in `{active}`. Once this is applied, \
                 {command} moves it to `{home}`."
            );
            return Some((summary, detail));
        }
        let summary = format!("The primary of the DR plan `{name}` is in `{active}`");
        let detail = format!(
            "`{active}` was promoted, and `{home}` is the home. Nothing is to be changed here: \
             {command} moves the primary home, and `hanse dr {name}` tells when and why it left."
        );
        Some((summary, detail))
    }
}

#[cfg(test)]
pub(crate) mod tests;
