//! What must hold between real hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::checks::{assert_nothing_is_left, network_of, poll, processes, routes_of};
use crate::laboratory::{Host, Laboratory, run};
use crate::plan::Report;

pub(crate) type Scenario = fn();

macro_rules! scenarios {
    ($($name:ident)*) => {
        pub(crate) const ALL: &[(&str, Scenario)] = &[$((stringify!($name), $name)),*];
    };
}

scenarios! {
    hosts_reach_each_other_on_both_families
    an_agent_that_is_killed_and_started_again_loses_no_packet
    a_peer_that_is_removed_by_hand_comes_back
    what_is_changed_by_hand_is_mended
    a_changed_plan_touches_only_the_peer_that_changed
    an_empty_plan_leaves_nothing
    a_mesh_that_leaves_while_the_agent_is_down_is_cleaned_up
    a_daemon_that_dies_is_started_again
    a_daemon_that_hangs_is_reported_and_holds_nobody_up
    an_interface_of_somebody_else_is_not_touched
    a_gateway_carries_its_site_and_hides_the_mesh
    an_endpoint_inside_a_site_network_makes_no_loop
    a_foreign_route_wins_and_is_reported
    a_path_that_swallows_full_packets_is_not_proved
    an_agent_killed_at_any_moment_comes_back_to_the_right_state
    a_damaged_key_is_reported_and_kept
}

fn hosts_reach_each_other_on_both_families() {
    let mut laboratory = Laboratory::new(3);
    laboratory.connect_all();
    for from in &laboratory.hosts {
        for to in &laboratory.hosts {
            for address in to.addresses() {
                assert_eq!(from.pings_lost(address, 5), 0, "{} to {address}", from.name);
            }
        }
    }
}

fn an_agent_that_is_killed_and_started_again_loses_no_packet() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let to = laboratory.hosts[1].addresses()[0];
    let pings = laboratory.hosts[0].start_pings(to);
    let daemon = processes("wireguard-go");
    for _ in 0..20 {
        for index in 0..2 {
            laboratory.hosts[index].kill_agent();
            laboratory.hosts[index].start_agent();
            let mesh = laboratory.full_mesh(index);
            laboratory.hosts[index].set_plan(vec![mesh]);
            laboratory.hosts[index].wait_until_proved();
        }
    }
    laboratory.hosts[0].stop_agent();
    assert_eq!(
        processes("wireguard-go"),
        daemon,
        "daemons are adopted, not started again"
    );
    let (answered, lost) = pings.end();
    assert!(answered > 20, "{answered}");
    assert_eq!(lost, 0, "of {answered}");
}

fn a_peer_that_is_removed_by_hand_comes_back() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let [one, other] = laboratory.hosts.as_mut_slice() else {
        panic!()
    };
    let key = one.wg("show wg0 peers");
    one.wg(&format!("set wg0 peer {} remove", key.trim()));
    poll("the peer is back", || one.wg("show wg0 peers") == key);
    assert_eq!(one.pings_lost(other.addresses()[0], 5), 0);
}

fn what_is_changed_by_hand_is_mended() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let one = &laboratory.hosts[0];
    let before = network_of(one);
    one.must("ip", &["address", "del", "10.80.0.1/32", "dev", "wg0"]);
    one.must("ip", &["address", "add", "10.99.0.1/24", "dev", "wg0"]);
    one.must("ip", &["route", "del", "fd80::/64", "table", "8289"]);
    one.must(
        "ip",
        &["route", "add", "10.7.0.0/16", "dev", "wg0", "table", "8289"],
    );
    one.must("ip", &["rule", "del", "priority", "5181"]);
    one.must("ip", &["link", "set", "wg0", "mtu", "1300"]);
    one.wg("set wg0 listen-port 4444");
    poll("all of it is mended", || {
        network_of(one) == before && one.wg("show wg0 listen-port").trim() == "51820"
    });
}

fn a_changed_plan_touches_only_the_peer_that_changed() {
    let mut laboratory = Laboratory::new(3);
    laboratory.connect_all();
    let handshakes = |host: &Host| {
        let shown = host.wg("show wg0 latest-handshakes");
        shown.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let to = laboratory.hosts[2].addresses()[1];
    let (before, pings) = (
        handshakes(&laboratory.hosts[0]),
        laboratory.hosts[0].start_pings(to),
    );
    let mut mesh = laboratory.full_mesh(0);
    mesh.peers[0].routes.push("10.66.0.0/16".parse().unwrap());
    mesh.routes.push("10.66.0.0/16".parse().unwrap());
    laboratory.hosts[0].set_plan(vec![mesh]);
    laboratory.hosts[0].wait_until_applied();
    assert!(
        laboratory.hosts[0]
            .wg("show wg0 allowed-ips")
            .contains("10.66.0.0/16")
    );
    assert!(routes_of(&laboratory.hosts[0]).contains("10.66.0.0/16"));
    let revision = laboratory.hosts[0].acknowledge();
    laboratory.hosts[0].wait_until("it is acknowledged", |report| {
        report.applied_revision == revision
    });
    assert_eq!(handshakes(&laboratory.hosts[0]), before);
    assert_eq!(pings.end().1, 0, "packets lost");
}

fn an_empty_plan_leaves_nothing() {
    let mut laboratory = Laboratory::new(2);
    let before = network_of(&laboratory.hosts[0]);
    laboratory.connect_all();
    let mut mesh = laboratory.full_mesh(0);
    mesh.gateway = true;
    laboratory.hosts[0].set_plan(vec![mesh]);
    laboratory.hosts[0].wait_until_proved();
    assert_ne!(network_of(&laboratory.hosts[0]), before);
    for host in &mut laboratory.hosts {
        host.set_plan(Vec::new());
        host.wait_until_applied();
        assert_nothing_is_left(host);
    }
    assert_eq!(network_of(&laboratory.hosts[0]), before);
    assert_eq!(processes("wireguard-go"), "");
}

fn a_mesh_that_leaves_while_the_agent_is_down_is_cleaned_up() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let host = &mut laboratory.hosts[0];
    host.kill_agent();
    host.start_agent();
    let mut other = host.mesh(Vec::new());
    other.mesh = "other".parse().unwrap();
    other.interface = "wg1".parse().unwrap();
    host.set_plan(vec![other]);
    host.wait_until_applied();
    assert!(!host.must("ip", &["link"]).contains("wg0"));
    assert!(host.must("ip", &["link"]).contains("wg1"));
    host.kill_agent();
    host.start_agent();
    host.set_plan(Vec::new());
    host.wait_until_applied();
    assert_nothing_is_left(host);
}

fn a_daemon_that_dies_is_started_again() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let first = processes("wireguard-go");
    for daemon in first.split_whitespace() {
        run("kill", &["-KILL", daemon]);
    }
    poll("new daemons carry the mesh", || {
        let now = processes("wireguard-go");
        now.split_whitespace().count() == 2
            && now
                .split_whitespace()
                .all(|id| !first.split_whitespace().any(|old| old == id))
    });
    let to = laboratory.hosts[1].addresses()[0];
    poll("packets pass again", || {
        laboratory.hosts[0].pings_lost(to, 1) == 0
    });
    assert!(
        !run("ps", &["-e", "-o", "stat="]).contains('Z'),
        "the dead are buried"
    );
}

fn a_daemon_that_hangs_is_reported_and_holds_nobody_up() {
    let mut laboratory = Laboratory::new(1);
    laboratory.connect_all();
    let host = &mut laboratory.hosts[0];
    let daemon = processes("wireguard-go");
    run("kill", &["-STOP", daemon.trim()]);
    let is_told = |report: &Report| {
        let mut problems = report.meshes.iter().flat_map(|mesh| &mesh.problems);
        problems.any(|problem| problem.contains("no daemon of ours answers"))
    };
    host.wait_until("the hung daemon is reported", is_told);
    run("kill", &["-CONT", daemon.trim()]);
    host.wait_until("the daemon is adopted again", |report| !is_told(report));
}

fn an_interface_of_somebody_else_is_not_touched() {
    let mut laboratory = Laboratory::new(1);
    let host = &mut laboratory.hosts[0];
    host.must("ip", &["link", "add", "wg0", "type", "bridge"]);
    let before = host.must("ip", &["-o", "link", "show", "wg0"]);
    let mesh = host.mesh(Vec::new());
    host.set_plan(vec![mesh]);
    host.wait_until("it is reported", |report| {
        let mut problems = report.meshes.iter().flat_map(|mesh| &mesh.problems);
        problems.any(|problem| problem.contains("was not made by Hanse"))
    });
    assert_eq!(host.report.applied_revision, 0);
    assert!(host.report.meshes[0].public_key.is_some());
    host.set_plan(Vec::new());
    host.wait_until_applied();
    assert_eq!(host.must("ip", &["-o", "link", "show", "wg0"]), before);
}

fn a_gateway_carries_its_site_and_hides_the_mesh() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    // A machine of the second site, which knows no way back into the mesh.
    run("ip", &["netns", "add", "machine"]);
    let lan = [
        "link", "add", "lan0", "netns", "host2", "type", "veth", "peer", "name", "eth0",
    ];
    run("ip", &[&lan[..], &["netns", "machine"]].concat());
    laboratory.hosts[1].must("ip", &["address", "add", "10.66.0.1/16", "dev", "lan0"]);
    laboratory.hosts[1].must("ip", &["link", "set", "lan0", "up"]);
    run(
        "ip",
        &[
            "-n",
            "machine",
            "address",
            "add",
            "10.66.0.2/16",
            "dev",
            "eth0",
        ],
    );
    run("ip", &["-n", "machine", "link", "set", "eth0", "up"]);

    let site = "10.66.0.0/16".parse().unwrap();
    let mut mesh = laboratory.full_mesh(0);
    mesh.peers[0].routes.push(site);
    mesh.routes.push(site);
    laboratory.hosts[0].set_plan(vec![mesh]);
    let mut gateway = laboratory.full_mesh(1);
    gateway.gateway = true;
    laboratory.hosts[1].set_plan(vec![gateway]);
    for host in &mut laboratory.hosts {
        host.wait_until_applied();
    }
    let machine: IpAddr = "10.66.0.2".parse().unwrap();
    assert_eq!(laboratory.hosts[0].pings_lost(machine, 5), 0);
    assert!(
        laboratory.hosts[1]
            .must("nft", &["list", "tables"])
            .contains("inet hanse_core")
    );
    assert_eq!(
        laboratory.hosts[1].report.meshes[0].problems,
        Vec::<String>::new()
    );

    laboratory.hosts[1].must("nft", &["delete", "table", "inet", "hanse_core"]);
    poll("the table is back", || {
        laboratory.hosts[1]
            .must("nft", &["list", "tables"])
            .contains("hanse_core")
    });
    let ordinary = laboratory.full_mesh(1);
    laboratory.hosts[1].set_plan(vec![ordinary]);
    laboratory.hosts[1].wait_until_applied();
    assert_eq!(laboratory.hosts[1].must("nft", &["list", "tables"]), "");
}

fn an_endpoint_inside_a_site_network_makes_no_loop() {
    let mut laboratory = Laboratory::new(2);
    for (index, host) in laboratory.hosts.iter().enumerate() {
        let address = format!("192.0.2.{}", index + 1);
        host.must(
            "ip",
            &["address", "flush", "dev", "eth0", "scope", "global"],
        );
        host.must(
            "ip",
            &["address", "add", &format!("{address}/32"), "dev", "eth0"],
        );
        host.must(
            "ip",
            &["route", "add", "default", "dev", "eth0", "src", &address],
        );
    }
    laboratory.make_keys();
    let site = "192.0.2.0/24".parse().unwrap();
    let mut mesh = laboratory.full_mesh(0);
    mesh.peers[0].routes.push(site);
    mesh.routes.push(site);
    // Only the first host dials: wireguard-go answers through the interface that it was asked
    // through, which would hide a loop.
    let mut answering = laboratory.full_mesh(1);
    answering.peers[0].endpoint = None;
    laboratory.hosts[1].set_plan(vec![answering]);
    laboratory.hosts[1].wait_until_applied();
    laboratory.hosts[0].set_plan(vec![mesh]);
    laboratory.hosts[0].wait_until_proved();
    let to = laboratory.hosts[1].addresses();
    assert_eq!(laboratory.hosts[0].pings_lost(to[0], 5), 0);
    let way = laboratory.hosts[0].must("ip", &["route", "get", "192.0.2.2"]);
    assert!(way.contains("wg0"), "{way}");
    assert_eq!(
        laboratory.hosts[0].report.meshes[0].problems,
        Vec::<String>::new()
    );
}

fn a_foreign_route_wins_and_is_reported() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let host = &mut laboratory.hosts[0];
    host.must("ip", &["route", "add", "10.80.0.0/25", "via", "192.0.2.9"]);
    host.wait_until("it is reported", |report| {
        let mut problems = report.meshes.iter().flat_map(|mesh| &mesh.problems);
        problems.any(|p| p.contains("10.80.0.0/24 is partly shadowed by 10.80.0.0/25 through eth0"))
    });
    assert!(
        host.must("ip", &["route", "get", "10.80.0.2"])
            .contains("eth0")
    );
    assert!(host.must("ip", &["route"]).contains("10.80.0.0/25"));
}

fn a_path_that_swallows_full_packets_is_not_proved() {
    let mut laboratory = Laboratory::new(2);
    run("ip", &["link", "set", "port2", "mtu", "1400"]);
    let keys = laboratory.make_keys();
    assert_eq!(keys.len(), 2);
    laboratory.hand_out_full_meshes();
    let host = &mut laboratory.hosts[0];
    host.wait_until("the loss is told", |report| {
        let mut problems = report
            .meshes
            .iter()
            .flat_map(|m| &m.peers)
            .map(|p| &p.problem);
        problems.any(|problem| {
            problem
                .as_ref()
                .is_some_and(|p| p.contains("handshake fine, probe of 1392 bytes"))
        })
    });
    assert!(!host.report.meshes[0].peers[0].proved);
}

fn an_agent_killed_at_any_moment_comes_back_to_the_right_state() {
    let mut laboratory = Laboratory::new(2);
    laboratory.connect_all();
    let to = laboratory.hosts[1].addresses()[0];
    let with_peers = laboratory.full_mesh(0);
    for step in 0..24_u32 {
        let host = &mut laboratory.hosts[0];
        let meshes = if step % 3 == 0 {
            Vec::new()
        } else {
            vec![with_peers.clone()]
        };
        host.set_plan(meshes);
        // A moment is so many reads of a clock: another one in each step.
        for _ in 0..(step * 7919) % 61 {
            run("true", &[]);
        }
        host.kill_agent();
        host.start_agent();
    }
    let host = &mut laboratory.hosts[0];
    host.set_plan(Vec::new());
    host.wait_until_applied();
    assert_nothing_is_left(host);
    assert_eq!(processes("wireguard-go").split_whitespace().count(), 1);
    let alone = host.mesh(Vec::new());
    host.set_plan(vec![alone]);
    host.wait_until_applied();
    let keys = laboratory.make_keys();
    assert_eq!(keys.len(), 2);
    laboratory.hand_out_full_meshes();
    for host in &mut laboratory.hosts {
        host.wait_until_proved();
    }
    assert_eq!(laboratory.hosts[0].pings_lost(to, 5), 0);
}

fn a_damaged_key_is_reported_and_kept() {
    let mut laboratory = Laboratory::new(1);
    let host = &mut laboratory.hosts[0];
    let path = host.data_dir().join("wireguard/core.key");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "c2hvcnQ=\n").unwrap();
    let mesh = host.mesh(Vec::new());
    host.set_plan(vec![mesh]);
    host.wait_until("it is reported", |report| {
        let mut problems = report.meshes.iter().flat_map(|mesh| &mesh.problems);
        problems.any(|problem| problem.contains("core.key holds no WireGuard key"))
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "c2hvcnQ=\n");
    assert_eq!(host.report.applied_revision, 0);
}
