//! One apply raises a mesh that works; what follows changes nothing; a destroy leaves nothing.

use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Federation, Host, Laboratory};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn one_apply_raises_a_mesh_and_destroy_leaves_nothing_of_it() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let untouched: Vec<String> = laboratory
        .hosts()
        .iter()
        .map(footprint)
        .collect::<Result<_>>()?;
    let terraform = federation.with_mesh()?;

    for agent in &federation.agents {
        for other in federation
            .agents
            .iter()
            .filter(|other| other.node() != agent.node())
        {
            let addresses = federation.addresses(other.node())?;
            assert_eq!(addresses.len(), 2, "one address from each pool");
            for address in addresses {
                agent
                    .host()
                    .exec(["ping", "-c", "1", "-W", "2", &address])?
                    .success()?;
            }
        }
    }
    assert!(
        !terraform.plan()?.has_changes,
        "a plan after the apply is empty"
    );

    for (address, id) in [
        ("hanse_federation.this", "test"),
        ("hanse_member_cluster.site2", "test/site2"),
        ("hanse_vpn_mesh.this", "test/backbone"),
    ] {
        terraform.forget(address)?;
        terraform.import(address, id)?;
        let plan = terraform.plan()?;
        assert!(
            !plan.has_changes,
            "{address} after its import: {}",
            plan.output.stdout
        );
    }

    terraform.destroy()?;
    for (host, before) in laboratory.hosts().iter().zip(untouched) {
        wait_until_true("the host is as it was", PATIENCE, || {
            Ok(footprint(host)? == before)
        })
        .map_err(|error| match footprint(host) {
            Ok(now) => error.context(format!("before:\n{before}\nnow:\n{now}")),
            Err(_) => error,
        })?;
    }
    Ok(())
}

#[test]
fn a_node_that_joins_later_gets_its_place_without_another_apply() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let (mut voter, operator) =
        hanse_acceptance::Agent::bootstrap(&laboratory, laboratory.host(1), "test", "site1")?;
    voter.start()?;
    voter.wait_until_live(&operator)?;
    let sites = [("site1", laboratory.host(1)), ("site2", laboratory.host(2))];
    let mut configuration = hanse_acceptance::Configuration::mesh("test", sites);
    configuration.site("site2").expected_nodes = 0;
    let terraform = operator.terraform_with(&configuration.to_string())?;
    terraform.init()?;
    let applied = terraform.apply()?;
    assert!(
        applied.stdout.contains("A site without nodes"),
        "{}",
        applied.stdout
    );

    let mut late = hanse_acceptance::Agent::join(laboratory.host(2), &operator.token("site2")?)?;
    late.start()?;
    wait_until_true("the late node is reached", PATIENCE, || {
        let ping = laboratory
            .host(1)
            .exec(["ping", "-c", "1", "-W", "1", "10.90.0.2"])?;
        Ok(ping.succeeded())
    })?;
    assert!(!terraform.plan()?.has_changes);
    Ok(())
}

/// Everything that a mesh could leave on a host.
fn footprint(host: &Host) -> Result<String> {
    let script = "ip -brief link; ip -4 route show table all; ip -6 route show table all; \
                  ip rule; ip -6 rule; nft list ruleset; ps -eo comm | sort | grep -v -e ps -e sort \
                  -e grep -e bash -e sh -e nsenter; find /run /var/run -name '*.sock'; ss -Hlun";
    // Lifetimes and link-local addresses come and go by themselves.
    let said = host.exec(Invocation::script(script))?.success()?.stdout;
    let steady = said.lines().filter(|line| {
        !["expires", "anycast", "fe80"]
            .iter()
            .any(|word| line.contains(word))
    });
    let sockets = format!("find {} -type s -name '*0.sock'", host.data_dir().display());
    let sockets = host.exec(Invocation::script(&sockets))?.success()?.stdout;
    Ok(steady.chain(sockets.lines()).collect::<Vec<_>>().join("\n"))
}
