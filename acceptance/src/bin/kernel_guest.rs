//! What runs in a guest whose kernel has WireGuard: three hosts, one mesh, and what may happen to
//! it. Every step is a sentence, reported once it was proved.
//!
//! It is started by the test `kernel_wireguard` and is of no use elsewhere: where the kernel has no
//! WireGuard, it fails at the first step that looks.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hanse_acceptance::guest::Report;
use hanse_acceptance::guest::report::Proof;
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Host, Laboratory, Pinger, Terraform, wireguard};

/// Long enough where everything is emulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// Routes of one site: more than one message to the kernel, or from it, can hold.
const ROUTES: u16 = 2000;

/// What a peer is allowed besides the routes behind it: its own v4 and v6 address.
const OWN_ADDRESSES: usize = 2;

fn main() -> ExitCode {
    let last = match run() {
        Ok(()) => Report::Done,
        Err(error) => Report::Failed(format!("{error:#}")),
    };
    let done = last == Report::Done;
    if say(&last).is_ok() && done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let release = laboratory.exec(["uname", "-r"])?.success()?;
    say(&Report::Kernel(release.text().to_owned()))?;
    let mut federation = None;
    prove("three nodes are enrolled and live", || {
        federation = Some(Federation::raise(&laboratory)?);
        Ok(String::new())
    })?;
    let mut federation = federation.context("there is no federation")?;
    let terraform = federation.terraform(&federation.configuration())?;
    prove("one apply raises a mesh whose paths are all proved", || {
        terraform.apply()?;
        all_paths_are_proved(&federation)
    })?;
    prove(
        "the kernel carries every device, and no daemon runs",
        || the_kernel_carries_it(&federation),
    )?;
    prove("every pair pings on v4 and v6", || {
        every_pair_pings(&federation)
    })?;
    prove(
        "agents that are killed and started again lose no ping",
        || killed_agents_lose_no_ping(&mut federation),
    )?;
    prove("a peer that is removed by hand is put back", || {
        a_removed_peer_is_mended(&mut federation)
    })?;
    prove(
        "2000 routes of one site are applied, and no ping is lost",
        || routes_are_applied(&federation, &terraform, ROUTES),
    )?;
    prove("one of 2000 that is moved by hand is moved back", || {
        a_moved_route_is_mended(&mut federation)
    })?;
    prove(
        "2000 routes are taken away again, and no ping is lost",
        || routes_are_applied(&federation, &terraform, 0),
    )?;
    prove("a destroy leaves no interface and no route", || {
        terraform.destroy()?;
        nothing_is_left(&laboratory)
    })
}

fn all_paths_are_proved(federation: &Federation) -> Result<String> {
    let mesh = federation.operator.hanse_json(["mesh"])?;
    let nodes = nodes_of(&mesh)?;
    let mut paths = 0;
    for node in nodes {
        for peer in node["peers"].as_array().into_iter().flatten() {
            ensure!(peer["proved"] == true, "a path is not proved: {mesh}");
            paths += 1;
        }
    }
    let wanted = nodes.len() * (nodes.len() - 1);
    ensure!(paths == wanted, "{paths} paths of {wanted}: {mesh}");
    Ok(format!("{paths} paths"))
}

fn the_kernel_carries_it(federation: &Federation) -> Result<String> {
    let mesh = federation.operator.hanse_json(["mesh"])?;
    for node in nodes_of(&mesh)? {
        ensure!(node["backend"] == "kernel", "not by the kernel: {mesh}");
    }
    for agent in &federation.agents {
        let host = agent.host();
        let links = host
            .exec(["ip", "-json", "link", "show", "type", "wireguard"])?
            .success()?
            .json()?;
        let count = links.as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{count} devices on {}", host.name());
        let daemon = host.exec(["pgrep", "-x", "wireguard-go"])?;
        ensure!(!daemon.succeeded(), "a daemon runs: {}", daemon.stdout);
    }
    Ok(format!("{} devices", federation.agents.len()))
}

fn every_pair_pings(federation: &Federation) -> Result<String> {
    let mut pings = 0;
    for from in &federation.agents {
        for to in federation
            .agents
            .iter()
            .filter(|to| to.node() != from.node())
        {
            for address in federation.addresses(to.node())? {
                from.host()
                    .exec(["ping", "-c", "3", "-i", "0.2", "-W", "5", &address])?
                    .success()?;
                pings += 1;
            }
        }
    }
    ensure!(pings == 12, "{pings} directions and families of 12");
    Ok(format!("{pings} directions and families"))
}

fn killed_agents_lose_no_ping(federation: &mut Federation) -> Result<String> {
    let pingers = pingers(federation)?;
    for agent in &mut federation.agents {
        agent.kill()?;
    }
    wait_for_more(&pingers, 30)?;
    for agent in &mut federation.agents {
        agent.start()?;
    }
    for agent in &federation.agents {
        agent.wait_until_live(&federation.operator)?;
    }
    wait_for_more(&pingers, 30)?;
    wait_until_true("all paths are proved again", PATIENCE, || {
        all_paths_are_proved(federation).map(|_| true)
    })?;
    the_kernel_carries_it(federation)?;
    none_is_lost(&pingers)
}

fn a_removed_peer_is_mended(federation: &mut Federation) -> Result<String> {
    let host = federation.agents[1].host();
    let before = peers_of(host)?;
    let interface = interface_of(host)?;
    let peer = before.first().context("there is no peer")?;
    behind_the_back_of(&mut federation.agents[1], || {
        host.exec(["wg", "set", &interface, "peer", peer, "remove"])?
            .success()?;
        let count = peers_of(host)?.len();
        ensure!(count + 1 == before.len(), "the peer was not removed");
        Ok(())
    })?;
    wait_until_true("the peer is back", PATIENCE, || {
        Ok(peers_of(host)? == before)
    })?;
    every_pair_pings(federation)?;
    Ok(format!("{} peers", before.len()))
}

fn routes_are_applied(
    federation: &Federation,
    terraform: &Terraform,
    count: u16,
) -> Result<String> {
    let pingers = pingers(federation)?;
    let mut configuration = federation.configuration();
    configuration.site("site2").routes = (0..count).map(route).collect();
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    let wanted = usize::from(count) + OWN_ADDRESSES;
    for number in [0, 2] {
        let host = federation.agents[number].host();
        wait_until_true("the peer may use its routes", PATIENCE, || {
            let most = most_allowed_ips(host)?;
            ensure!(most == wanted, "{most} allowed IPs of {wanted}");
            let routes = routes_through_the_mesh(host)?;
            ensure!(
                routes >= usize::from(count) && routes < usize::from(count) + 20,
                "{routes} routes"
            );
            Ok(true)
        })?;
    }
    wait_for_more(&pingers, 20)?;
    none_is_lost(&pingers)?;
    let plan = terraform.plan()?;
    ensure!(!plan.has_changes, "drift: {}", plan.output.stdout);
    Ok(format!("{wanted} allowed IPs of one peer"))
}

fn a_moved_route_is_mended(federation: &mut Federation) -> Result<String> {
    let host = federation.agents[0].host();
    let wanted = most_allowed_ips(host)?;
    let script = format!(
        "all=$(wg show {interface} allowed-ips)
         owner=$(grep -F '{route}' <<<\"$all\" | cut -f 1)
         other=$(grep -vF \"$owner\" <<<\"$all\" | cut -f 1)
         own=$(grep -vF \"$owner\" <<<\"$all\" | cut -f 2)
         wg set {interface} peer \"$other\" allowed-ips \"${{own// /,}},{route}\"",
        interface = interface_of(host)?,
        route = route(1500),
    );
    behind_the_back_of(&mut federation.agents[0], || {
        host.exec(Invocation::script(&script))?.success()?;
        ensure!(
            most_allowed_ips(host)? == wanted - 1,
            "the route was not moved"
        );
        Ok(())
    })?;
    wait_until_true("the route is back", PATIENCE, || {
        Ok(most_allowed_ips(host)? == wanted)
    })?;
    every_pair_pings(federation)
}

fn nothing_is_left(laboratory: &Laboratory) -> Result<String> {
    for host in laboratory.hosts() {
        wait_until_true("the interface is gone", PATIENCE, || {
            let added = host.added_interfaces()?;
            ensure!(added.is_empty(), "{added:?} on {}", host.name());
            let script = "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all";
            let said = host.exec(Invocation::script(script))?.success()?.stdout;
            ensure!(
                !said.contains("10.90.") && !said.contains("fd90:"),
                "{said}"
            );
            Ok(true)
        })?;
    }
    Ok(String::new())
}

/// Does something while the agent stands still, so that it can't be mended before it was seen.
fn behind_the_back_of(agent: &mut Agent, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let process = agent.process().context("the agent does not run")?;
    process.stop()?;
    work()?;
    process.resume()
}

/// Somebody on the first host who pings the second on v4, and somebody on the third on v6.
fn pingers(federation: &Federation) -> Result<Vec<Pinger>> {
    let addresses = federation.addresses("h2")?;
    let [four, six] = addresses.as_slice() else {
        bail!("one address of each kind is expected: {addresses:?}")
    };
    Ok(vec![
        Pinger::start(federation.agents[0].host(), four)?,
        Pinger::start(federation.agents[2].host(), six)?,
    ])
}

fn wait_for_more(pingers: &[Pinger], count: usize) -> Result<()> {
    pingers
        .iter()
        .try_for_each(|pinger| pinger.wait_for_more(count))
}

fn none_is_lost(pingers: &[Pinger]) -> Result<String> {
    let mut answered = 0;
    for pinger in pingers {
        let lost = pinger.lost()?;
        ensure!(lost.is_empty(), "pings were lost: {lost:?}");
        answered += pinger.answered()?;
    }
    Ok(format!("0 of {answered} lost"))
}

/// How many allowed IPs the peer has that has most of them.
fn most_allowed_ips(host: &Host) -> Result<usize> {
    let interface = interface_of(host)?;
    let said = host.exec(["wg", "show", &interface, "allowed-ips"])?;
    let said = said.success()?.stdout;
    let counts = said.lines().map(|line| line.split_whitespace().count() - 1);
    counts.max().context("there is no peer")
}

fn peers_of(host: &Host) -> Result<BTreeSet<String>> {
    let peers = wireguard::observe(host)?.into_iter();
    Ok(peers.map(|peer| peer.public_key).collect())
}

fn routes_through_the_mesh(host: &Host) -> Result<usize> {
    let interface = interface_of(host)?;
    let said = host.exec(["ip", "route", "show", "table", "all", "dev", &interface])?;
    Ok(said.success()?.stdout.lines().count())
}

fn interface_of(host: &Host) -> Result<String> {
    let said = host.exec(["wg", "show", "interfaces"])?.success()?;
    Ok(said.text().to_owned())
}

fn nodes_of(mesh: &serde_json::Value) -> Result<&Vec<serde_json::Value>> {
    // One mesh is either shown alone or in a list.
    let mesh = mesh
        .get(0)
        .or_else(|| mesh["meshes"].get(0))
        .unwrap_or(mesh);
    let nodes = mesh["nodes"].as_array();
    nodes.with_context(|| format!("no nodes in {mesh}"))
}

fn route(number: u16) -> String {
    format!("172.{}.{}.0/24", 16 + number / 256, number % 256)
}

fn prove(what: &str, proof: impl FnOnce() -> Result<String>) -> Result<()> {
    let started = Instant::now();
    let seen = proof().with_context(|| what.to_owned())?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis())?;
    let what = what.to_owned();
    say(&Report::Proved(Proof {
        what,
        elapsed_ms,
        seen,
    }))
}

fn say(report: &Report) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", report.to_line()?)?;
    output.flush().context("unable to report")
}
