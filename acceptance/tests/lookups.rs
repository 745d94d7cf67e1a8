//! Data sources and functions say of a real federation what is so.

use anyhow::{Context, Result};
use hanse_acceptance::{Federation, Laboratory, Tool};

const LOOKUPS: &str = r#"
data "hanse_nodes" "all" {
  federation = hanse_federation.this.name
  depends_on = [hanse_vpn_mesh.this]
}
data "hanse_nodes" "second" {
  federation     = hanse_federation.this.name
  member_cluster = hanse_member_cluster.site2.name
  depends_on     = [hanse_vpn_mesh.this]
}
data "hanse_capacity" "all" {
  federation = hanse_federation.this.name
  depends_on = [hanse_vpn_mesh.this]
}
data "hanse_federation_status" "this" {
  federation = hanse_federation.this.name
  depends_on = [hanse_vpn_mesh.this]
}
data "hanse_mesh_peers" "this" {
  federation = hanse_federation.this.name
  mesh       = hanse_vpn_mesh.this.name
  depends_on = [hanse_vpn_mesh.this]
}
# Figures and ages are new at each read; what stays makes an output that stays.
output "nodes" {
  value = { for name, node in data.hanse_nodes.all.nodes : name => {
    voter          = node.voter
    member_cluster = node.member_cluster
    addresses      = node.addresses
    health         = node.health.state
    is_measured    = node.capacity.age_ms >= 0 && node.capacity.offer.cpus > 0
  } }
}
output "second" {
  value = keys(data.hanse_nodes.second.nodes)
}
output "capacity" {
  value = {
    nodes_live = data.hanse_capacity.all.total.nodes_live
    cpus       = data.hanse_capacity.all.total.cpus
    sites      = { for name, site in data.hanse_capacity.all.member_clusters : name => site.cpus }
  }
}
output "status" {
  value = data.hanse_federation_status.this
}
output "laptop" {
  value = provider::hanse::wg_quick(["10.90.0.200"], "/etc/wireguard/own.key", data.hanse_mesh_peers.this.peers)
}
"#;

#[test]
fn nodes_capacity_status_and_functions_are_told_under_each_tool() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    for tool in Tool::ALL {
        let mut configuration = federation.configuration();
        configuration.tail = LOOKUPS.to_owned();
        let terraform = federation
            .operator
            .terraform_with(&configuration.to_string())?
            .with(tool);
        terraform.init()?;
        terraform.apply()?;

        let nodes = terraform.output("nodes")?;
        let (first, second) = (federation.agents[0].node(), federation.agents[1].node());
        assert_eq!(nodes[first]["voter"], true, "{nodes}");
        assert_eq!(nodes[second]["voter"], false, "{nodes}");
        assert_eq!(nodes[second]["health"], "healthy", "{nodes}");
        assert_eq!(nodes[second]["is_measured"], true, "{nodes}");
        assert_eq!(nodes[second]["member_cluster"], "site2", "{nodes}");
        let addresses = nodes[second]["addresses"]["backbone"].as_array();
        assert_eq!(addresses.map(Vec::len), Some(2), "{nodes}");
        assert_eq!(terraform.output("second")?, serde_json::json!([second]));

        let capacity = terraform.output("capacity")?;
        assert_eq!(capacity["nodes_live"], 2, "{capacity}");
        let of = |name: &str| capacity["sites"][name].as_u64();
        let (site1, site2) = (of("site1").context("cpus")?, of("site2").context("cpus")?);
        assert!(site1 > 0, "{capacity}");
        assert_eq!(capacity["cpus"].as_u64(), Some(site1 + site2));

        let status = terraform.output("status")?;
        assert_eq!(status["nodes_live"], 2, "{status}");
        assert_eq!(status["nodes_by_health"]["healthy"], 2, "{status}");
        let voter = &status["voters"][first];
        assert_eq!(voter["live"], true, "{status}");
        assert_eq!(voter["votes"], true, "{status}");
        assert_eq!(voter["leads"], true, "{status}");
        assert_eq!(voter["lag_entries"], 0, "{status}");
        assert_eq!(status["vpn_meshes"], serde_json::json!(["backbone"]));

        let laptop = terraform.output("laptop")?.to_string();
        assert_eq!(laptop.matches("[Peer]").count(), 2, "{laptop}");
        assert!(!terraform.plan()?.has_changes);
        terraform.destroy()?;
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_named_at_its_attribute() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    for (data, attribute, reason) in [
        (
            "data \"hanse_nodes\" \"x\" {\n  federation = \"test\"\n  member_cluster = \"nowhere\"\n}\n",
            "member_cluster",
            "Unknown member cluster",
        ),
        (
            "data \"hanse_capacity\" \"x\" {\n  federation = \"other\"\n}\n",
            "federation",
            "Another federation",
        ),
    ] {
        let mut configuration = federation.configuration();
        configuration.tail = data.to_owned();
        let terraform = federation.terraform(&configuration)?;
        let said = terraform.plan_refused()?;
        assert!(said.contains(reason) && said.contains(attribute), "{said}");
    }
    Ok(())
}
