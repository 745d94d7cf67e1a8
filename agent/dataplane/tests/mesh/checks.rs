//! Questions about a host that scenarios share.

use hanse_core::name::MeshName;

use crate::laboratory::{Host, run};

pub(crate) fn assert_nothing_is_left(host: &Host) {
    let mesh: MeshName = "core".parse().unwrap();
    assert!(!host.must("ip", &["link"]).contains("wg"), "an interface");
    assert_eq!(routes_of(host), "", "a route");
    for family in ["-4", "-6"] {
        let rules = host.must("ip", &[family, "rule"]);
        assert!(
            !rules.contains("8289") && !rules.contains("suppress"),
            "a rule: {rules}"
        );
    }
    assert_eq!(
        host.must("nft", &["list", "tables"]),
        "",
        "a firewall table"
    );
    let left = run("find", &[&host.data_dir().to_string_lossy(), "-type", "s"]);
    assert_eq!(left, "", "a socket");
    let key = host.data_dir().join(format!("wireguard/{mesh}.key"));
    assert!(!key.exists(), "a key");
}

/// Interfaces, addresses, routes and rules, without counters.
pub(crate) fn network_of(host: &Host) -> String {
    let link = host.must("ip", &["-br", "link"]);
    let mtu = host.must(
        "sh",
        &["-c", "cat /sys/class/net/wg0/mtu 2>/dev/null || true"],
    );
    let addresses = host.must("ip", &["-br", "address", "show", "scope", "global"]);
    let rules = ["-4", "-6"]
        .map(|family| host.must("ip", &[family, "rule"]))
        .concat();
    format!("{link}{mtu}{addresses}{}{rules}", routes_of(host))
}

pub(crate) fn routes_of(host: &Host) -> String {
    let show = |family| {
        let script = format!("ip {family} route show table 8289 2>/dev/null || true");
        host.must("sh", &["-c", &script])
    };
    ["-4", "-6"].map(show).concat()
}

/// The ids of the processes of this name that live. The dead ones of a killed agent are for this
/// scenario to bury, which is process 1 here.
pub(crate) fn processes(name: &str) -> String {
    let arguments = ["--runstates", "R,S,D", "-x", name];
    let output = std::process::Command::new("pgrep")
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Asks until it is so. Each question is a process of its own, so it does not spin.
pub(crate) fn poll(what: &str, is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed().as_secs() < 40, "never so: {what}");
    }
}
