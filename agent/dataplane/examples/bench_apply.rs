//! Measures how long a plan takes to be in effect, beside `wg` on a daemon of the same kind.
//!
//! Run it as `cargo run --release --example bench_apply`: it enters namespaces of its own and
//! leaves nothing behind. Ours covers the whole of it (keys, device, addresses, routes, rules);
//! `wg` configures the device only, and the time of starting it is part of what it takes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that can't go on has nothing better to do than to stop"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hanse_core::cidr::Cidr;
use hanse_core::key::PublicKey;
use hanse_core::mesh::{MeshPlan, PeerPlan};
use hanse_dataplane::{Config, Dataplane};

/// Odd, so that a median is a trial that took place.
const TRIALS: usize = 11;
const PEER_COUNTS: [u32; 3] = [10, 100, 1000];

/// A daemon that has no socket by then will have none.
const DAEMON_START_MAX: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [
            "wireguard-daemon",
            "--interface",
            interface,
            "--socket-dir",
            folder,
        ] => {
            let interface = interface.parse().unwrap();
            match hanse_dataplane::run_wireguard_daemon(&interface, Path::new(folder)) {
                Ok(never) => match never {},
                Err(error) => panic!("{}", error.sentence()),
            }
        }
        ["inside"] => {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(measure());
            ExitCode::SUCCESS
        }
        _ => {
            let status = Command::new("unshare")
                .args([
                    "--user",
                    "--net",
                    "--mount",
                    "--map-root-user",
                    "--pid",
                    "--fork",
                ])
                .args(["--kill-child", "--mount-proc"])
                .arg(std::env::current_exe().unwrap())
                .arg("inside")
                .status()
                .unwrap();
            ExitCode::from(u8::from(!status.success()))
        }
    }
}

async fn measure() {
    println!("{TRIALS} trials each, in turn; median (first to third quartile), in ms.\n");
    println!("| peers | what | ours | `wg` on wireguard-go | ours : `wg` |");
    println!("|--:|---|--:|--:|--:|");
    for count in PEER_COUNTS {
        let mut ours: [Vec<Duration>; 3] = Default::default();
        let mut theirs: [Vec<Duration>; 3] = Default::default();
        for _ in 0..TRIALS {
            for (all, one) in ours.iter_mut().zip(ours_once(count).await) {
                all.push(one);
            }
            for (all, one) in theirs.iter_mut().zip(theirs_once(count)) {
                all.push(one);
            }
        }
        let rows = [
            "all peers at once, `setconf`",
            "one more peer, `syncconf`",
            "nothing to do, `syncconf`",
        ];
        for ((what, ours), theirs) in rows.iter().zip(ours).zip(theirs) {
            let (ours, theirs) = (quartiles_ms(ours), quartiles_ms(theirs));
            let ratio = ours[1] / theirs[1];
            println!(
                "| {count} | {what} | {} | {} | {ratio:.2} |",
                cell(ours),
                cell(theirs)
            );
        }
    }
}

/// First apply, one more peer, and a pass with nothing to do.
async fn ours_once(count: u32) -> [Duration; 3] {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config::new(folder.path());
    let dataplane = Dataplane::start(config()).await.unwrap();
    apply(&dataplane, 1, vec![plan(0)]).await;
    let first = apply(&dataplane, 2, vec![plan(count)]).await;
    let one_more = apply(&dataplane, 3, vec![plan(count + 1)]).await;
    dataplane.shutdown().await;
    // A start finds everything as it should be.
    let dataplane = Dataplane::start(config()).await.unwrap();
    let nothing = apply(&dataplane, 4, vec![plan(count + 1)]).await;
    apply(&dataplane, 5, Vec::new()).await;
    dataplane.shutdown().await;
    [first, one_more, nothing]
}

async fn apply(dataplane: &Dataplane, revision: u64, meshes: Vec<MeshPlan>) -> Duration {
    let mut seen = dataplane.observe();
    let begun = Instant::now();
    dataplane.set_plan(revision, meshes);
    let applied = seen.wait_for(|seen| seen.applied_revision == revision);
    let applied = tokio::time::timeout(Duration::from_secs(60), applied).await;
    assert!(
        applied.is_ok(),
        "{:?}",
        dataplane.observe().borrow().problems
    );
    begun.elapsed()
}

fn theirs_once(count: u32) -> [Duration; 3] {
    let folder = tempfile::tempdir().unwrap();
    let sockets = folder.path().join("sockets");
    fs::create_dir(&sockets).unwrap();
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["wireguard-daemon", "--interface", "wg9", "--socket-dir"])
        .arg(&sockets)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = sockets.join("wg9.sock");
    let begun = Instant::now();
    while !socket.exists() {
        assert!(
            begun.elapsed() < DAEMON_START_MAX,
            "the daemon has no socket"
        );
        std::thread::yield_now();
    }
    let file = |name: &str, count| {
        let path = folder.path().join(name);
        fs::write(&path, configuration(count)).unwrap();
        path
    };
    let (first, more) = (file("first", count), file("more", count + 1));
    let steps = [
        ("setconf", &first),
        ("syncconf", &more),
        ("syncconf", &more),
    ];
    // `wg` finds the socket by its name in one folder, so it gets a mount namespace of its own. What
    // that costs is not the yardstick's fault and is not measured; nor is reading the clock, which
    // is bash's own and starts no process.
    let script = format!(
        "mount -t tmpfs tmpfs /run; mkdir /run/wireguard; mount --bind {} /run/wireguard; \
         while read -r line; do start=${{EPOCHREALTIME/[.,]/}}; wg $line || exit 1; \
         end=${{EPOCHREALTIME/[.,]/}}; echo $((end - start)); done",
        sockets.display()
    );
    let mut input = String::new();
    for (verb, path) in steps {
        let _ = writeln!(input, "{verb} wg9 {}", path.display());
    }
    let lines = folder.path().join("lines");
    fs::write(&lines, input).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-ec", &script])
        .stdin(fs::File::open(lines).unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let spans: Vec<Duration> = text
        .lines()
        .map(|line| Duration::from_micros(line.parse().unwrap()))
        .collect();
    spans.try_into().unwrap()
}

fn key(number: u32) -> [u8; 32] {
    let mut key = [0x40; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    key
}

fn address(number: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(0x0a50_0000 + number)
}

fn plan(count: u32) -> MeshPlan {
    let peer = |number: u32| PeerPlan {
        node: format!("node{number}").parse().unwrap(),
        public_key: PublicKey::from(key(number)),
        preshared_key: None,
        endpoint: Some("192.0.2.1:51820".parse().unwrap()),
        allowed_ips: vec![Cidr::host(address(number).into())],
        persistent_keepalive_s: None,
    };
    MeshPlan {
        mesh: "bench".parse().unwrap(),
        interface: "wg0".parse().unwrap(),
        addresses: vec![address(60_000).into()],
        address_pools: vec!["10.80.0.0/16".parse().unwrap()],
        listen_port: 51_820,
        probe_port: 51_821,
        mtu: None,
        peers: (1..=count).map(peer).collect(),
        routes: vec!["10.80.0.0/16".parse().unwrap()],
        gateway: false,
        snat: false,
        probe_targets: Vec::new(),
    }
}

fn configuration(count: u32) -> String {
    let mut text = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = 51830\n",
        base64(&key(0))
    );
    for number in 1..=count {
        let _ = writeln!(
            text,
            "[Peer]\nPublicKey = {}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = {}/32",
            base64(&key(number)),
            address(number)
        );
    }
    text
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn quartiles_ms(mut spans: Vec<Duration>) -> [f64; 3] {
    spans.sort_unstable();
    [1, 2, 3].map(|quarter| spans[((spans.len() - 1) * quarter + 2) / 4].as_secs_f64() * 1000.0)
}

fn cell([low, middle, high]: [f64; 3]) -> String {
    format!("{middle:.1} ({low:.1}–{high:.1})")
}
