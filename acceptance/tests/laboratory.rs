//! The laboratory itself is proved first: a test on hosts that aren't hosts proves nothing.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::laboratory::{Host, Invocation, Laboratory, OPERATOR_IPV4};
use hanse_acceptance::wait::wait_until_true;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn hosts_reach_each_other_and_the_operator_on_v4_and_v6() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    for from in laboratory.hosts() {
        for to in laboratory.hosts() {
            assert!(
                reaches(from, &to.ipv4())?,
                "{} -> {} by v4",
                from.name(),
                to.name()
            );
            assert!(
                reaches(from, &to.ipv6())?,
                "{} -> {} by v6",
                from.name(),
                to.name()
            );
        }
        assert!(reaches(from, OPERATOR_IPV4)?);
        assert_eq!(from.exec(["hostname"])?.success()?.text(), from.name());
    }
    Ok(())
}

#[test]
fn a_cut_link_stops_everything_until_it_is_healed() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let (first, second, third) = (laboratory.host(1), laboratory.host(2), laboratory.host(3));
    first.cut_link()?;
    assert!(is_cut_off(second, &first.ipv4())?);
    assert!(is_cut_off(first, &second.ipv6())?);
    assert!(
        reaches(second, &third.ipv4())?,
        "the others are not concerned"
    );
    first.heal_link()?;
    assert!(reaches(second, &first.ipv4())?);
    assert!(reaches(first, &second.ipv6())?);
    Ok(())
}

#[test]
fn a_cut_between_two_hosts_leaves_each_its_other_neighbours() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let (first, second, third) = (laboratory.host(1), laboratory.host(2), laboratory.host(3));
    laboratory.cut_between(first, second)?;
    assert!(is_cut_off(first, &second.ipv4())?);
    assert!(is_cut_off(second, &first.ipv6())?);
    assert!(reaches(first, &third.ipv4())?);
    assert!(reaches(second, &third.ipv6())?);
    laboratory.heal_all()?;
    assert!(reaches(first, &second.ipv4())?);
    Ok(())
}

#[test]
fn a_one_way_cut_lets_the_other_way_through() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let (first, second) = (laboratory.host(1), laboratory.host(2));
    for cut in ["between", "outgoing", "incoming"] {
        // Datagrams that must not arrive are sent first, so that one that does shows the order.
        let (from, to) = match cut {
            "between" => (first, second),
            "outgoing" => (first, second),
            _ => (second, first),
        };
        let mut inboxes = [inbox(from)?, inbox(to)?];
        match cut {
            "between" => laboratory.cut_one_way(from, to)?,
            _ if cut == "outgoing" => from.cut_outgoing()?,
            _ => to.cut_incoming()?,
        }
        send(from, to, "lost")?;
        send(to, from, "passes")?;
        wait_until_true("the open way", PATIENCE, || {
            Ok(inboxes[0].log()?.contains("passes"))
        })?;
        laboratory.heal_all()?;
        send(from, to, "healed")?;
        wait_until_true("the healed way", PATIENCE, || {
            Ok(inboxes[1].log()?.contains("healed"))
        })?;
        assert!(!inboxes[1].log()?.contains("lost"), "{cut}");
        for inbox in &mut inboxes {
            inbox.kill()?;
        }
    }
    Ok(())
}

#[test]
fn a_host_without_power_loses_its_memory_and_keeps_its_disk() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let (first, second) = (laboratory.host(1), laboratory.host(2));
    let mut process = first.spawn("sleeper", ["sleep", "1000"])?;
    let disk = first.data_dir().join("disk");
    first
        .exec(["touch", "/run/memory", &disk.to_string_lossy()])?
        .success()?;
    first
        .exec(["ip", "link", "add", "extra", "type", "bridge"])?
        .success()?;
    assert_eq!(first.added_interfaces()?, ["extra"]);

    first.power_off()?;
    process.wait(PATIENCE)?;
    assert!(is_cut_off(second, &first.ipv4())?);
    assert!(first.exec(["true"]).is_err(), "nothing runs without power");

    first.power_on()?;
    assert!(reaches(second, &first.ipv4())?);
    assert!(reaches(first, &second.ipv6())?);
    assert!(disk.exists());
    assert!(!first.exec(["test", "-e", "/run/memory"])?.succeeded());
    assert_eq!(first.added_interfaces()?, [""; 0]);
    Ok(())
}

#[test]
fn a_cut_survives_a_restart_of_the_host() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let (first, second) = (laboratory.host(1), laboratory.host(2));
    first.cut_link()?;
    first.power_off()?;
    first.power_on()?;
    assert!(is_cut_off(second, &first.ipv4())?);
    first.heal_link()?;
    assert!(reaches(second, &first.ipv4())?);
    Ok(())
}

#[test]
fn a_frozen_host_does_nothing_until_it_is_thawed() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    let script = "while read -r line; do echo \"got $line\"; done < /run/orders";
    host.exec(["mkfifo", "/run/orders"])?.success()?;
    let mut process = host.spawn("worker", Invocation::script(script))?;
    host.freeze()?;
    // The order waits in the pipe, and a frozen worker can't take it.
    host.exec(Invocation::script(
        "exec 3<>/run/orders; echo one >&3; grep -q '^State:.T' /proc/2/status || true",
    ))?
    .success()?;
    assert!(is_stopped(process.pid()?)?);
    assert!(process.is_running()?);
    assert!(
        is_stopped(process.pid()?)?,
        "looking at a frozen process does not wake it"
    );
    host.thaw()?;
    let order = Invocation::script("echo two > /run/orders");
    host.exec(order)?.success()?;
    wait_until_true("the worker goes on", PATIENCE, || {
        Ok(process.log()?.contains("got two"))
    })?;
    process.wait(PATIENCE)?;
    Ok(())
}

#[test]
fn a_process_that_ends_at_once_is_started_all_the_same() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    for round in 0..100 {
        let mut process = host.spawn("brief", Invocation::script("echo here; exit 7"))?;
        let ended = process.wait(PATIENCE)?;
        assert_eq!(ended.code(), Some(7), "round {round}");
    }
    Ok(())
}

#[test]
fn one_process_can_be_stopped_resumed_asked_to_end_and_killed() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    let mut polite = host.spawn("polite", ["sleep", "1000"])?;
    polite.stop()?;
    wait_until_true("it stands still", PATIENCE, || is_stopped(polite.pid()?))?;
    polite.resume()?;
    polite.terminate()?;
    assert!(!polite.wait(PATIENCE)?.success());

    let mut stubborn = host.spawn(
        "stubborn",
        Invocation::script("trap '' TERM; echo deaf; cat /dev/zero >/dev/null"),
    )?;
    wait_until_true("it is deaf", PATIENCE, || {
        Ok(stubborn.log()?.contains("deaf"))
    })?;
    stubborn.terminate()?;
    stubborn.stop()?;
    assert!(stubborn.is_running()?);
    stubborn.kill()?;
    assert!(!stubborn.is_running()?);
    Ok(())
}

#[test]
fn orphans_are_reaped() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    host.exec(Invocation::script(
        "for i in 1 2 3 4 5; do (true & true) & done; wait",
    ))?
    .success()?;
    wait_until_true("no zombie is left", PATIENCE, || {
        let states = host.exec(["ps", "-eo", "stat="])?.success()?;
        Ok(!states.stdout.lines().any(|state| state.starts_with('Z')))
    })
}

#[test]
fn a_lan_lies_behind_its_host_and_comes_back_with_it() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let (first, second) = (laboratory.host(1), laboratory.host(2));
    let four = first.add_lan("10.20.0.0/24")?;
    let six = first.add_lan("fd20::/64")?;
    assert!(reaches(first, &four.address().to_string())?);
    assert!(reaches(first, &six.address().to_string())?);
    assert!(
        is_cut_off(second, &four.address().to_string())?,
        "nobody routes there yet"
    );

    first.power_off()?;
    first.power_on()?;
    assert!(reaches(first, &four.address().to_string())?);
    assert!(reaches(first, &six.address().to_string())?);

    first
        .exec(["sysctl", "-qw", "net.ipv4.ip_forward=1"])?
        .success()?;
    second
        .exec(["ip", "route", "add", "10.20.0.0/24", "via", &first.ipv4()])?
        .success()?;
    assert!(
        is_cut_off(second, &four.address().to_string())?,
        "the LAN host knows no way back"
    );
    four.add_default_route()?;
    assert!(reaches(second, &four.address().to_string())?);
    Ok(())
}

#[test]
fn wireguard_go_runs_on_two_hosts_under_the_same_name() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut keys = Vec::new();
    for host in laboratory.hosts() {
        host.exec(["wireguard-go", "wg0"])?.success()?;
        let script = "wg genkey | tee /run/key | wg pubkey; wg set wg0 listen-port 51820 private-key /run/key";
        keys.push(
            host.exec(Invocation::script(script))?
                .success()?
                .text()
                .to_owned(),
        );
    }
    for (number, other) in [(1u8, 2u8), (2, 1)] {
        let host = laboratory.host(number);
        host.exec(Invocation::script(&format!(
            "wg set wg0 peer {} endpoint {}:51820 allowed-ips 10.42.0.{other}/32,fd42::{other}/128
             ip addr add 10.42.0.{number}/24 dev wg0
             ip addr add fd42::{number}/64 dev wg0 nodad
             ip link set wg0 up",
            keys[usize::from(other) - 1],
            laboratory.host(other).ipv4(),
        )))?
        .success()?;
    }
    assert!(reaches(laboratory.host(1), "10.42.0.2")?);
    assert!(reaches(laboratory.host(2), "fd42::1")?);
    assert_eq!(laboratory.host(1).added_interfaces()?, ["wg0"]);

    let observed = hanse_acceptance::wireguard::observe(laboratory.host(1))?;
    let [peer] = observed.as_slice() else {
        panic!("one peer is expected: {observed:?}")
    };
    assert_eq!(
        (peer.interface.as_str(), &peer.public_key),
        ("wg0", &keys[1])
    );
    assert_eq!(
        peer.endpoint,
        format!("{}:51820", laboratory.host(2).ipv4())
    );
    assert!(peer.latest_handshake_unix_s > 0);
    Ok(())
}

#[test]
fn every_peer_of_a_device_is_observed() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let host = laboratory.host(1);
    host.exec(["wireguard-go", "wg0"])?.success()?;
    let script = "for port in 1 2 3; do
        wg set wg0 peer $(wg genkey | wg pubkey) endpoint 10.99.0.9:$port; done";
    host.exec(Invocation::script(script))?.success()?;
    let observed = hanse_acceptance::wireguard::observe(host)?;
    let endpoints: BTreeSet<_> = observed.iter().map(|peer| peer.endpoint.as_str()).collect();
    assert_eq!(
        endpoints,
        BTreeSet::from(["10.99.0.9:1", "10.99.0.9:2", "10.99.0.9:3"])
    );
    Ok(())
}

#[test]
fn a_command_that_hangs_is_killed_at_its_time_limit() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let hang = Invocation::new("sleep")
        .arg("1000")
        .time_limit(Duration::from_millis(200));
    let error = laboratory.host(1).exec(hang)?.success().unwrap_err();
    assert!(error.to_string().contains("time limit"), "{error}");
    Ok(())
}

/// Whether an echo comes back, given time for a neighbour to be looked up again.
fn reaches(from: &Host, address: &str) -> Result<bool> {
    let what = format!("{} reaches {address}", from.name());
    wait_until_true(&what, PATIENCE, || pings(from, address))?;
    Ok(true)
}

/// Whether no echo comes back within a while that is ample for a sound wire.
fn is_cut_off(from: &Host, address: &str) -> Result<bool> {
    Ok(!pings(from, address)?)
}

fn pings(from: &Host, address: &str) -> Result<bool> {
    let ping = ["ping", "-q", "-c", "1", "-W", "1", address];
    Ok(from.exec(ping)?.code() == Some(0))
}

/// Writes each datagram that arrives into its log.
fn inbox(host: &Host) -> Result<hanse_acceptance::Process> {
    let script = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', 7000))
print('open', flush=True)
while True: print(s.recv(99).decode(), flush=True)";
    let inbox = host.spawn("inbox", ["python3", "-SE", "-c", script])?;
    wait_until_true("the inbox is open", PATIENCE, || {
        Ok(inbox.log()?.contains("open"))
    })?;
    Ok(inbox)
}

fn send(from: &Host, to: &Host, word: &str) -> Result<()> {
    let script = format!("echo {word} > /dev/udp/{}/7000", to.ipv4());
    from.exec(Invocation::script(&script))?.success()?;
    Ok(())
}

fn is_stopped(pid: i32) -> Result<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(status.lines().any(|line| line.starts_with("State:\tT")))
}
