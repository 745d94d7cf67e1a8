//! Mistakes are found at plan time, at the attribute that is wrong.

use anyhow::Result;
use hanse_acceptance::{Configuration, Federation, Laboratory, Terraform};

/// One federation for all: plans change nothing.
#[test]
fn each_mistake_is_an_error_on_its_own_attribute() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    let sound = federation.configuration();
    let terraform = federation.terraform(&sound)?;
    type Change = fn(&mut Configuration);
    let cases: [(&str, Change, &str, &str); 7] = [
        (
            "networks that overlap between sites",
            |c| {
                c.site("site1").networks = vec!["10.1.0.0/16".to_owned()];
                c.site("site2").networks = vec!["10.1.128.0/17".to_owned()];
            },
            "Overlapping networks",
            "networks = ",
        ),
        (
            "a pool that overlaps a site's network",
            |c| c.site("site1").networks = vec!["10.90.0.0/16".to_owned()],
            "Overlapping networks",
            "address_pools = ",
        ),
        (
            "a pool that is too small",
            |c| c.address_pools = vec!["10.90.0.0/32".to_owned()],
            "Pool too small",
            "address_pools = ",
        ),
        (
            "two nodes without an endpoint",
            |c| {
                c.site("site1").endpoint.clear();
                c.site("site2").endpoint.clear();
            },
            "Two nodes that could never meet",
            "hanse_vpn_mesh",
        ),
        (
            "a duration that is none",
            |c| {
                c.mesh_lines
                    .push("persistent_keepalive = \"5 parsecs\"".to_owned())
            },
            "5 parsecs",
            "persistent_keepalive = ",
        ),
        (
            "a network with host bits",
            |c| c.site("site1").networks = vec!["10.1.2.3/16".to_owned()],
            "write 10.1.0.0/16",
            "networks = ",
        ),
        (
            "another federation's name",
            |c| c.federation = "somebody-elses".to_owned(),
            "Another federation",
            "name = ",
        ),
    ];
    for (what, change, summary, attribute) in cases {
        let mut wrong = sound.clone();
        change(&mut wrong);
        terraform.write("main.tf", &wrong.to_string())?;
        let refused = terraform.plan_refused()?;
        let flat = flat(&refused);
        assert!(flat.contains(summary), "{what}: {refused}");
        assert!(
            flat.contains(attribute),
            "{what} is not shown at `{attribute}`: {refused}"
        );
    }
    Ok(())
}

#[test]
fn an_unknown_member_cluster_is_a_warning_at_plan_and_an_error_at_apply() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let mut configuration = federation.configuration();
    configuration.address_pools.clear();
    configuration.tail = "resource \"hanse_vpn_mesh\" \"this\" {\n  federation = \"test\"\n  \
        name = \"backbone\"\n  address_pools = [\"10.90.0.0/24\"]\n  sites = {\n    nowhere = { \
        endpoint = \"10.99.0.1:51820\" }\n  }\n}\n"
        .to_owned();
    let terraform = federation.terraform(&configuration)?;
    let plan = terraform.plan()?;
    assert!(
        plan.output
            .stdout
            .contains("Warning: Unknown member cluster"),
        "{}",
        plan.output.stdout
    );
    let refused = terraform.run(["apply", "-no-color", "-auto-approve"])?;
    assert!(!refused.succeeded());
    assert!(
        refused.stderr.contains("Error: Unknown member cluster"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[test]
fn a_site_leaves_the_run_and_the_mesh_in_one_apply() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let mut fewer = federation.configuration();
    fewer.sites.remove("site3");
    terraform.write("main.tf", &fewer.to_string())?;
    let applied = terraform.apply()?;
    assert!(
        applied.stdout.contains("0 added, 1 changed, 1 destroyed"),
        "{}",
        applied.stdout
    );
    assert!(!terraform.plan()?.has_changes);
    assert!(
        laboratory.host(3).added_interfaces()?.is_empty(),
        "its node is enrolled and idle"
    );
    Ok(())
}

#[test]
fn endpoints_that_nobody_serves_are_all_named() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let terraform: Terraform = federation.terraform(&federation.configuration())?;
    let terraform = terraform.env("HANSE_ENDPOINTS", "10.99.0.1:1,10.99.0.1:2");
    let refused = terraform.plan_refused()?;
    let flat = flat(&refused);
    assert!(
        flat.contains("10.99.0.1:1") && flat.contains("10.99.0.1:2"),
        "{refused}"
    );
    Ok(())
}

/// Terraform's frames and line breaks away.
fn flat(diagnostics: &str) -> String {
    let words = diagnostics
        .split_whitespace()
        .filter(|word| !matches!(*word, "│" | "╷" | "╵"));
    words.collect::<Vec<_>>().join(" ")
}
