//! Where each host sends what is for the address that follows the primary, noted whenever that changes.
//!
//! Each host is looked at some twenty times a second from within, past Hanse: its routes say whether the
//! address is its own, and its WireGuard says which peer has it. Of that only peers' public keys are
//! written down.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::ledger::whole_lines;
use super::load::note;
use super::now_ns;
use super::trial::milliseconds;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a daemon may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// WireGuard where the kernel has none.
const DAEMON: &str = "wireguard-go";
/// Where its sockets are, below its root.
const SOCKETS: &str = "root/run/wireguard";
/// Nothing is ever sent there.
const PORT: u16 = 9;
/// The address is the host's own.
const HERE: &str = "here";
/// No peer has it.
const NOWHERE: &str = "nowhere";

/// What a host did from a moment on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// When it was seen first.
    pub at_ns: u64,
    /// Whether the address is its own, or which peer has it.
    pub way: String,
}

/// When the last node led to a new primary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// There was no new primary, or no address follows it.
    NotNeeded,
    /// Every node that could hear of it did.
    Done {
        /// How long after the new primary had taken its first write; 0: not after that.
        after_write_ms: f64,
        /// How long after the first node.
        after_first_ms: f64,
    },
    /// One of them did not as long as the fault lasted.
    Late,
}

/// Notes where this host sends what is for `address`, until it is killed.
///
/// # Errors
///
/// When nobody reads what it writes down.
pub fn run(address: IpAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("unable to start the runtime")?;
    runtime.block_on(watch(address))
}

/// All turns of one host in order, from what was written down there.
#[must_use]
pub fn turns(text: &str) -> Vec<Turn> {
    let turn = |line: &str| {
        let (at_ns, way) = line.split_once(' ')?;
        Some(Turn {
            at_ns: at_ns.parse().ok()?,
            way: way.to_owned(),
        })
    };
    whole_lines(text).filter_map(turn).collect()
}

/// When the last of `hosts` was led elsewhere than it was before, between the fault and its mending.
/// `written_ns`: when the new primary took its first write.
#[must_use]
pub fn redirect<'t>(
    hosts: impl IntoIterator<Item = &'t [Turn]>,
    (fault_ns, mended_ns): (u64, u64),
    written_ns: Option<u64>,
) -> Redirect {
    let led = hosts
        .into_iter()
        .map(|turns| led_at_ns(turns, fault_ns, mended_ns));
    let led: Option<Vec<u64>> = led.collect();
    let (Some(led), Some(written_ns)) = (led, written_ns) else {
        return Redirect::Late;
    };
    let (Some(first_ns), Some(last_ns)) = (led.iter().min(), led.iter().max()) else {
        return Redirect::NotNeeded;
    };
    let after = |ns: u64| milliseconds(Duration::from_nanos(last_ns.saturating_sub(ns)));
    Redirect::Done {
        after_write_ms: after(written_ns),
        after_first_ms: after(*first_ns),
    }
}

/// When a host was led to where it is led in the end; none: it still is as it was.
fn led_at_ns(turns: &[Turn], from_ns: u64, until_ns: u64) -> Option<u64> {
    let before = turns.iter().rfind(|turn| turn.at_ns <= from_ns)?;
    let last = turns.iter().rfind(|turn| turn.at_ns <= until_ns)?;
    (last.way != before.way).then_some(last.at_ns)
}

async fn watch(address: IpAddr) -> Result<()> {
    let mut pace = interval(PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known: Option<String> = None;
    let mut daemons = Vec::new();
    loop {
        pace.tick().await;
        // Where nobody tells, nothing is known to have changed.
        let Some(way) = look(address, &mut daemons) else {
            continue;
        };
        if known.as_ref() != Some(&way) {
            note(&format!("{} {way}", now_ns()))?;
            known = Some(way);
        }
    }
}

/// Where this host sends what is for the address; none: its WireGuard doesn't tell.
fn look(address: IpAddr, daemons: &mut Vec<PathBuf>) -> Option<String> {
    if is_here(address) {
        return Some(HERE.to_owned());
    }
    if daemons.is_empty() {
        *daemons = sockets();
    }
    let holder = match daemons.is_empty() {
        true => holder_by_kernel(&ask_kernel()?, address),
        false => {
            let told: std::io::Result<Vec<String>> = daemons.iter().map(|it| ask(it)).collect();
            let Ok(told) = told else {
                daemons.clear();
                return None;
            };
            told.iter().find_map(|told| holder(told, address))
        }
    };
    Some(holder.unwrap_or_else(|| NOWHERE.to_owned()))
}

/// Whether the address is this host's own: from there it would speak to it.
fn is_here(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, PORT))?;
        socket.local_addr()
    });
    own.is_ok_and(|own| own.ip() == address)
}

/// The sockets of this host's daemons, each in a mount namespace of its own.
fn sockets() -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let folders = processes.map(|process| process.path()).filter(|folder| {
        let name = fs::read_to_string(folder.join("comm"));
        name.is_ok_and(|name| name.trim() == DAEMON)
    });
    let entries = folders.filter_map(|folder| fs::read_dir(folder.join(SOCKETS)).ok());
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    let is_socket = |path: &PathBuf| path.extension().is_some_and(|end| end == "sock");
    paths.filter(is_socket).collect()
}

/// What a daemon tells of its device.
fn ask(socket: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(b"get=1\n\n")?;
    let (mut told, mut piece) = (Vec::new(), [0; 4096]);
    while !told.ends_with(b"\n\n") {
        match stream.read(&mut piece)? {
            0 => break,
            length => told.extend_from_slice(&piece[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&told).into_owned())
}

/// What `wg` tells of the kernel's devices.
fn ask_kernel() -> Option<String> {
    let asked = Command::new("wg")
        .args(["show", "all", "allowed-ips"])
        .output();
    let output = asked.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The peer that has the address, from lines such as `public_key=…` and `allowed_ip=10.0.0.1/32`.
fn holder(told: &str, address: IpAddr) -> Option<String> {
    let mut key = None;
    for (name, value) in told.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "public_key" => key = Some(value),
            "allowed_ip" if is_of(value, address) => return key.map(str::to_owned),
            _ => {}
        }
    }
    None
}

/// The same from lines of a device, a key and networks.
fn holder_by_kernel(told: &str, address: IpAddr) -> Option<String> {
    told.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let key = words.next()?;
        words
            .any(|network| is_of(network, address))
            .then(|| key.to_owned())
    })
}

/// Whether a network is this one address.
fn is_of(network: &str, address: IpAddr) -> bool {
    let (first, length) = network.split_once('/').unwrap_or((network, ""));
    first.parse() == Ok(address) && matches!(length, "32" | "128")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 90, 0, 200));

    fn host(ways: &[(u64, &str)]) -> Vec<Turn> {
        let turn = |(ms, way): &(u64, &str)| Turn {
            at_ns: ms * MS,
            way: (*way).to_owned(),
        };
        ways.iter().map(turn).collect()
    }

    fn of(hosts: &[Vec<Turn>], written_ms: Option<u64>) -> Redirect {
        let hosts = hosts.iter().map(Vec::as_slice);
        let written_ns = written_ms.map(|ms| ms * MS);
        redirect(hosts, (1_000 * MS, 9_000 * MS), written_ns)
    }

    #[test]
    fn the_last_node_counts_from_the_first_write_and_from_the_first_node() {
        let hosts = [
            host(&[(0, "a"), (4_000, "b")]),
            // On its way it had none.
            host(&[(0, "a"), (2_000, NOWHERE), (4_150, HERE)]),
        ];
        let done = |after_write_ms, after_first_ms| Redirect::Done {
            after_write_ms,
            after_first_ms,
        };
        assert_eq!(of(&hosts, Some(4_100)), done(50.0, 150.0));
        assert_eq!(of(&hosts, Some(4_500)), done(0.0, 150.0));
    }

    #[test]
    fn a_node_that_is_led_as_before_or_only_after_the_mending_is_late() {
        let led = host(&[(0, "a"), (4_000, "b")]);
        for other in [
            host(&[(0, "a")]),
            host(&[(0, "a"), (3_000, NOWHERE), (4_000, "a")]),
            host(&[(0, "a"), (9_500, "b")]),
            Vec::new(),
        ] {
            assert_eq!(of(&[led.clone(), other], Some(4_000)), Redirect::Late);
        }
        assert_eq!(of(&[led], None), Redirect::Late);
        assert_eq!(of(&[], Some(4_000)), Redirect::NotNeeded);
    }

    #[test]
    fn half_a_line_is_no_turn() {
        let read = turns("1000000 here\n2000000 nowhere\n3000000 he");
        assert_eq!(read, host(&[(1, HERE), (2, NOWHERE)]));
    }

    #[test]
    fn the_peer_that_has_the_address_is_found_in_either_telling() {
        let daemon = "private_key=00\npublic_key=aa\nallowed_ip=10.90.0.1/32\n\
                      allowed_ip=10.90.0.20/32\npublic_key=bb\nallowed_ip=10.90.0.2/32\n\
                      allowed_ip=10.90.0.200/32\nerrno=0\n\n";
        assert_eq!(holder(daemon, ADDRESS).as_deref(), Some("bb"));
        assert_eq!(holder("public_key=aa\nerrno=0\n\n", ADDRESS), None);
        let kernel = "mesh\tAA=\t10.90.0.1/32\nmesh\tBB=\t10.90.0.2/32 10.90.0.200/32\n";
        assert_eq!(holder_by_kernel(kernel, ADDRESS).as_deref(), Some("BB="));
        assert_eq!(holder_by_kernel("mesh\tAA=\t(none)\n", ADDRESS), None);
    }
}
