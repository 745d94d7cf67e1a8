//! Rules of one DR plan among everything else.

use crate::dr::quorum;
use crate::finding::{Finding, Path};
use crate::inventory::{Inventory, NodeMesh};
use crate::object::DrPlan;
use crate::object::federation::ReplicationMode;
use crate::object::member_cluster::SiteRole;

use super::{Missing, dr_backup, dr_redirect, is_declared};

mod drill;
mod fencing;
mod workload;

/// The most standbys of a plan.
const STANDBYS_MAX: usize = 7;

/// Checks a plan among everything else.
pub(super) fn check(
    inventory: &Inventory,
    plan: &DrPlan,
    missing: Missing,
    findings: &mut Vec<Finding>,
) {
    sites(inventory, plan, missing, findings);
    workload::check(inventory, plan, findings);
    drill::check(plan, findings);
    timings(plan, findings);
    replication(inventory, plan, findings);
    fencing::check(inventory, plan, findings);
    dr_redirect::check(plan, findings);
    dr_backup::check(plan, findings);
    ways(inventory, plan, missing, findings);
    voters(inventory, plan, findings);
}

/// Copies reach one another over a mesh, and the service address is one of its own.
fn ways(inventory: &Inventory, plan: &DrPlan, missing: Missing, findings: &mut Vec<Finding>) {
    let mut push = |path: Path, summary: &str, detail: String| {
        findings.push(match missing {
            Missing::Warn => Finding::warning(path, summary, detail),
            Missing::Refuse => Finding::error(path, summary, detail),
        });
    };
    if let Some(address) = plan.service_address {
        let path = || Path::of("service_address");
        let in_mesh = |mesh: &NodeMesh| mesh.addresses.contains(&address);
        let mut nodes = inventory.nodes.iter();
        let holder = nodes.find(|(_, record)| record.meshes.values().any(in_mesh));
        let mut plans = inventory.dr_plans.values().map(|stored| &stored.spec);
        let other = plans.find(|o| o.name != plan.name && o.service_address == Some(address));
        match (inventory.mesh_of(address), holder, other) {
            (None, _, _) => push(
                path(),
                "An address of no mesh",
                format!(
                    "{address} is in no address pool of a VPN mesh. Choose a free one in a pool."
                ),
            ),
            (Some(_), Some((node, _)), _) => push(
                path(),
                "A node's address",
                format!("{address} is the node `{node}`'s own for life. Choose a free one."),
            ),
            (Some(_), None, Some(other)) => push(
                path(),
                "Another plan's address",
                format!(
                    "{address} leads to the primary of the DR plan `{}`.",
                    other.name
                ),
            ),
            (Some(_), None, None) => {}
        }
    }
    let is_told = plan.sites().any(|site| !is_declared(inventory, site));
    if !is_told && inventory.mesh_of_plan(plan).is_none() {
        push(
            Path::of("standbys"),
            "No mesh connects the copies",
            "Copies replicate over a VPN mesh. Declare one whose sites are the home and every standby, \
             and in which the service address is."
                .to_owned(),
        );
    }
}

/// An automatic failover needs a majority of the voters outside each site that may be lost (rule 6).
fn voters(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    let voters = quorum::voters_to_be(inventory);
    let copies = plan.sites().cloned().collect();
    // Without a node nothing is known of the federation.
    let is_known = !inventory.nodes.is_empty();
    if let Err(trouble) = quorum::check(&voters, &copies)
        && plan.automatic_failover
        && is_known
    {
        findings.push(Finding::error(
            Path::of("automatic_failover"),
            "The voters don't suffice",
            format!("An automatic failover is decided by a majority of the voters, and {trouble}."),
        ));
    }
}

fn sites(inventory: &Inventory, plan: &DrPlan, missing: Missing, findings: &mut Vec<Finding>) {
    if plan.standbys.is_empty() || plan.standbys.len() > STANDBYS_MAX {
        findings.push(Finding::error(
            Path::of("standbys"),
            "No such number of standbys",
            format!("Name 1 to {STANDBYS_MAX} member clusters that may take over."),
        ));
    }
    let path = |place: usize| match place {
        0 => Path::of("home"),
        place => Path::of("standbys").index(place - 1),
    };
    let all: Vec<_> = plan.sites().collect();
    for (place, site) in all.iter().enumerate() {
        if all[..place].contains(site) {
            findings.push(Finding::error(
                path(place),
                "A site twice",
                format!("`{site}` has one copy of the workload. Name it once, as home or standby."),
            ));
        }
        if let Some(stored) = inventory.clusters.get(*site)
            && stored.spec.role == SiteRole::Witness
        {
            findings.push(Finding::error(
                path(place),
                "A witness holds no copy",
                format!("The member cluster `{site}` has the role witness: it votes only."),
            ));
        }
        if !is_declared(inventory, site) {
            let detail =
                format!("No member cluster `{site}` is declared. Declare it, or name another.");
            findings.push(match missing {
                Missing::Warn => Finding::warning(path(place), "Unknown member cluster", detail),
                Missing::Refuse => Finding::error(path(place), "Unknown member cluster", detail),
            });
        }
    }
    for (site, node) in &plan.nodes {
        let path = Path::of("nodes").key(site);
        let enrolled = inventory.nodes.get(node);
        if !all.contains(&site) {
            findings.push(Finding::error(
                path,
                "A site without a copy",
                format!("`{site}` is neither the home nor a standby of this plan."),
            ));
        } else if let Some(record) = enrolled.filter(|record| record.cluster != *site) {
            findings.push(Finding::error(
                path,
                "A node of another site",
                format!(
                    "The node `{node}` belongs to `{}`, not to `{site}`.",
                    record.cluster
                ),
            ));
        }
    }
}

fn timings(plan: &DrPlan, findings: &mut Vec<Finding>) {
    if plan.preset.is_some() && plan.timings.is_some() {
        findings.push(Finding::error(
            Path::of("timings"),
            "A preset and timings",
            "A preset is a set of timings. Write one of the two.",
        ));
        return;
    }
    let timings = plan.timings();
    timings.check(&Path::of("timings"), plan.automatic_failover, findings);
    let (failure, predicted) = timings.worst(plan.others());
    let predicted = predicted.total();
    if let Some(rto) = plan.rto.as_ref().filter(|rto| rto.value() < predicted)
        && plan.automatic_failover
    {
        findings.push(Finding::error(
            Path::of("rto"),
            "These timings can't keep it",
            format!(
                "With them a failover takes up to {predicted:.1?} when {}, which is more than {rto}. \
                 Take a faster preset, or allow more.",
                failure.event()
            ),
        ));
    }
}

fn replication(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    let policy = plan.replication(&inventory.federation.spec);
    let path = || Path::of("replication");
    let standbys = u32::try_from(plan.standbys.len()).unwrap_or(u32::MAX);
    if policy.mode != ReplicationMode::Async && !(1..=standbys).contains(&policy.min_in_sync) {
        findings.push(Finding::error(
            path().attribute("min_in_sync"),
            "No such number of standbys",
            format!(
                "A write can wait for 1 to {standbys} of this plan's standbys, not for {}.",
                policy.min_in_sync
            ),
        ));
    }
    if policy.mode == ReplicationMode::Sync && policy.min_in_sync == standbys {
        findings.push(Finding::warning(
            path().attribute("min_in_sync"),
            "The loss of one standby stops all writes",
            "Each write waits for every standby. Add a standby, or let writes wait for one less.",
        ));
    }
    let Some(rpo) = &plan.rpo else {
        return;
    };
    let interval = plan.timings().check_interval;
    if policy.mode != ReplicationMode::Sync && rpo.value().is_zero() {
        findings.push(Finding::error(
            Path::of("rpo"),
            "This replication can't keep it",
            format!(
                "Only the mode sync loses nothing for sure; this plan's is {}. Write \
                 replication.mode = \"sync\", or an rpo above 0.",
                policy.mode
            ),
        ));
    } else if policy.mode == ReplicationMode::Async && rpo.value() < interval.value() {
        findings.push(Finding::error(
            Path::of("rpo"),
            "Nobody could tell whether it is kept",
            format!(
                "The lag is known every {interval} (check_interval). Write at least that, or a faster \
                 preset."
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dr::timings::Preset;
    use crate::duration::Span;
    use crate::object::dr_plan::Fencing;
    use crate::object::federation::ReplicationPolicy;
    use crate::object::member_cluster::Platform;
    use crate::object::{MemberCluster, Object};
    use crate::testing::{Builder, cluster, dialable_site, dr_plan as plan, mesh};

    fn site(name: &str, change: impl FnOnce(&mut MemberCluster)) -> MemberCluster {
        let mut site = cluster(name);
        change(&mut site);
        site
    }

    fn findings_among(sites: Vec<MemberCluster>, plan: &DrPlan) -> Vec<(bool, String)> {
        let mut inventory = Inventory::new("test".parse().unwrap());
        let mut connected = mesh(&["10.9.0.0/24"]);
        for (number, site) in sites.into_iter().enumerate() {
            let name = site.name.clone();
            connected.sites.insert(name, dialable_site(number));
            inventory.put(Object::MemberCluster(site), 1);
        }
        inventory.put(Object::VpnMesh(connected), 1);
        let mut found = Vec::new();
        check(&inventory, plan, Missing::Refuse, &mut found);
        let told = found.into_iter();
        told.map(|finding| (finding.is_error(), finding.path.to_string()))
            .collect()
    }

    fn findings(change: impl FnOnce(&mut DrPlan)) -> Vec<(bool, String)> {
        let mut plan = plan();
        change(&mut plan);
        let sites = ["a", "b", "c"].map(|name| site(name, |_| ()));
        findings_among(sites.into(), &plan)
    }

    fn policy(mode: ReplicationMode, min_in_sync: u32) -> Option<ReplicationPolicy> {
        Some(ReplicationPolicy { mode, min_in_sync })
    }

    fn error(path: &str) -> Vec<(bool, String)> {
        vec![(true, path.to_owned())]
    }

    #[test]
    fn a_sound_plan_has_nothing_to_say() {
        assert_eq!(findings(|_| ()), []);
    }

    #[test]
    fn each_site_stands_once_is_declared_and_may_hold_a_copy() {
        assert_eq!(findings(|plan| plan.standbys.clear()), error("standbys"));
        let home = |plan: &mut DrPlan| plan.standbys[1] = "a".parse().unwrap();
        assert_eq!(findings(home), error("standbys[1]"));
        let unknown = |plan: &mut DrPlan| plan.home = "x".parse().unwrap();
        assert_eq!(findings(unknown), error("home"));
        let witness = |site: &mut MemberCluster| site.role = SiteRole::Witness;
        let sites = vec![site("a", |_| ()), site("b", witness), site("c", |_| ())];
        assert_eq!(findings_among(sites, &plan()), error("standbys[0]"));
        let elsewhere = |plan: &mut DrPlan| {
            plan.nodes
                .insert("x".parse().unwrap(), "n".parse().unwrap());
        };
        assert_eq!(findings(elsewhere), error("nodes[\"x\"]"));
    }

    #[test]
    fn what_is_promised_can_be_kept() {
        let rto = |seconds, preset| {
            findings(|plan| {
                plan.preset = Some(preset);
                plan.rto = Some(Span::from_secs(seconds));
            })
        };
        assert_eq!(rto(16, Preset::Standard), error("rto"));
        assert_eq!(rto(17, Preset::Standard), []);
        // That its host dies alone would take 5 s.
        assert_eq!(rto(8, Preset::Fast), error("rto"));
        assert_eq!(rto(9, Preset::Fast), []);
        let rpo = |text: &str, mode| {
            let rpo = text.parse().unwrap();
            findings(|plan| {
                plan.rpo = Some(rpo);
                plan.replication = policy(mode, 1);
            })
        };
        assert_eq!(rpo("0s", ReplicationMode::SemiSync), error("rpo"));
        assert_eq!(rpo("1s", ReplicationMode::Async), error("rpo"));
        assert_eq!(rpo("0s", ReplicationMode::Sync), []);
        assert_eq!(rpo("30s", ReplicationMode::Async), []);
    }

    #[test]
    fn a_write_waits_for_as_many_standbys_as_there_are() {
        let min =
            |number| findings(|plan| plan.replication = policy(ReplicationMode::Sync, number));
        assert_eq!(min(0), error("replication.min_in_sync"));
        assert_eq!(min(3), error("replication.min_in_sync"));
        assert_eq!(min(2), [(false, "replication.min_in_sync".to_owned())]);
        assert_eq!(min(1), []);
    }

    #[test]
    fn a_preset_and_timings_are_one_too_many() {
        let both = |plan: &mut DrPlan| {
            plan.preset = Some(Preset::Fast);
            plan.timings = Some(Preset::Wide.timings());
        };
        assert_eq!(findings(both), error("timings"));
    }

    #[test]
    fn a_virtual_machine_needs_a_fence_from_outside_or_somebody_who_accepts_the_risk() {
        let cloud = || {
            let in_cloud = |site: &mut MemberCluster| site.platform = Platform::Aws;
            vec![site("a", in_cloud), site("b", |_| ()), site("c", |_| ())]
        };
        let among = |change: &dyn Fn(&mut DrPlan)| {
            let mut plan = plan();
            change(&mut plan);
            findings_among(cloud(), &plan)
        };
        assert_eq!(among(&|_| ()), error("fencing"));
        assert_eq!(among(&|plan| plan.accept_pause_risk = true), []);
        assert_eq!(among(&|plan| plan.automatic_failover = false), []);
        assert_eq!(
            among(&|plan| plan.replication = policy(ReplicationMode::Sync, 1)),
            []
        );
        let fenced = |plan: &mut DrPlan| {
            let command = vec!["fence".to_owned(), "{node}".to_owned()];
            let timeout = Span::from_secs(30);
            let how = Fencing::Command { command, timeout };
            plan.fencing.insert("a".parse().unwrap(), how);
        };
        assert_eq!(among(&fenced), []);
    }

    #[test]
    fn a_service_address_is_a_free_one_of_the_mesh() {
        let address = |text: &str| {
            let address = text.parse().unwrap();
            findings(|plan| plan.service_address = Some(address))
        };
        assert_eq!(address("10.9.0.250"), []);
        let outside = address("10.8.0.250");
        assert!(
            outside.contains(&(true, "service_address".to_owned())),
            "{outside:?}"
        );
    }

    #[test]
    fn an_automatic_failover_needs_voters_that_outlive_any_site() {
        let mut federation = Builder::new()
            .site("a")
            .site("b")
            .site("c")
            .mesh(&["10.0.0.0/24"]);
        federation.enroll("a-1", "a");
        let refused = federation
            .try_declare(Object::DrPlan(Box::new(plan())))
            .unwrap_err();
        let finding = &refused.findings[0];
        assert_eq!(finding.path.to_string(), "automatic_failover");
        assert!(
            finding.detail.contains("has 0 of the 3 voters"),
            "{}",
            finding.detail
        );
        let by_hand = DrPlan {
            automatic_failover: false,
            ..plan()
        };
        federation.declare(Object::DrPlan(Box::new(by_hand)));
        let mut taken = DrPlan {
            automatic_failover: false,
            ..plan()
        };
        taken.service_address = Some("10.0.0.1".parse().unwrap());
        let refused = federation
            .try_declare(Object::DrPlan(Box::new(taken)))
            .unwrap_err();
        assert_eq!(refused.findings[0].summary, "A node's address");
    }
}
