//! What a gateway needs beside routes: forwarding, and a firewall table of our own.
//!
//! Forwarding is never turned off again, since others may have come to rely on it. Where it was
//! off, only packets into or out of a mesh are forwarded: a host must not become a router between
//! its other networks because it joined a mesh.

use std::fmt::Write;
use std::fs;
use std::process::Stdio;

use hanse_core::mesh::MeshPlan;
use hanse_core::name::MeshName;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::error::Error;

const IPV4_FORWARDING: &str = "net.ipv4.ip_forward";
const IPV6_FORWARDING: &str = "net.ipv6.conf.all.forwarding";

/// Whether the host forwards nothing yet.
pub(crate) fn is_forwarding_off(ipv6: bool) -> bool {
    let is_off = |sysctl| fs::read_to_string(path_of(sysctl)).is_ok_and(|on| on.trim() == "0");
    is_off(IPV4_FORWARDING) && (!ipv6 || is_off(IPV6_FORWARDING))
}

/// Turns forwarding on.
pub(crate) fn enable_forwarding(ipv6: bool) -> Result<(), Error> {
    enable(IPV4_FORWARDING)?;
    if ipv6 { enable_ipv6() } else { Ok(()) }
}

/// Brings the mesh's firewall table to this content, unless it stands already.
pub(crate) async fn apply_table(mesh: &MeshName, text: &str, known: bool) -> Result<(), Error> {
    let name = table_name(mesh);
    if known && nft(&["list", "table", "inet", &name], "").await.is_ok() {
        return Ok(());
    }
    nft(&["-f", "-"], text).await
}

/// Removes the mesh's firewall table; where there is no `nft` there is no table.
pub(crate) async fn remove_table(mesh: &MeshName) -> Result<(), Error> {
    let name = table_name(mesh);
    match nft(
        &["-f", "-"],
        &format!("table inet {name} {{}}\ndelete table inet {name}\n"),
    )
    .await
    {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The table's text: applied in one transaction in the place of the one before.
pub(crate) fn table(plan: &MeshPlan, gateways: &[&MeshPlan], was_off: bool) -> String {
    let name = table_name(&plan.mesh);
    let interface = &plan.interface;
    let mut text = format!("table inet {name} {{}}\ndelete table inet {name}\n");
    // Writing to a string can't fail.
    let _ = writeln!(text, "table inet {name} {{");
    for (set, kind, ipv4) in [("mesh4", "ipv4_addr", true), ("mesh6", "ipv6_addr", false)] {
        let networks = plan.address_pools.iter().chain(&plan.routes);
        let networks: Vec<String> = networks
            .filter(|c| c.is_ipv4() == ipv4)
            .map(ToString::to_string)
            .collect();
        let _ = writeln!(
            text,
            "  set {set} {{ type {kind}; flags interval; auto-merge"
        );
        if !networks.is_empty() {
            let _ = writeln!(text, "    elements = {{ {} }}", networks.join(", "));
        }
        let _ = writeln!(text, "  }}");
    }
    let _ = writeln!(
        text,
        "  chain forward {{ type filter hook forward priority filter; policy accept;"
    );
    if was_off {
        let names: Vec<String> = gateways
            .iter()
            .map(|g| format!("\"{}\"", g.interface))
            .collect();
        let names = names.join(", ");
        let _ = writeln!(
            text,
            "    iifname != {{ {names} }} oifname != {{ {names} }} drop"
        );
    }
    let _ = writeln!(text, "  }}");
    if plan.snat {
        let _ = writeln!(
            text,
            "  chain postrouting {{ type nat hook postrouting priority srcnat; policy accept;\n    \
             oifname != \"{interface}\" ip saddr @mesh4 masquerade\n    \
             oifname != \"{interface}\" ip6 saddr @mesh6 masquerade\n  }}"
        );
    }
    text.push_str("}\n");
    text
}

/// A mesh's name has no underscores, so no two names become one.
fn table_name(mesh: &MeshName) -> String {
    format!("hanse_{}", mesh.as_str().replace('-', "_"))
}

fn path_of(sysctl: &str) -> String {
    format!("/proc/sys/{}", sysctl.replace('.', "/"))
}

fn enable(sysctl: &str) -> Result<(), Error> {
    let path = path_of(sysctl);
    let failed = || {
        Error::io(format!(
            "turn forwarding on, which a gateway needs (set {sysctl} = 1 in /etc/sysctl.d)"
        ))
    };
    if fs::read_to_string(&path).map_err(failed())?.trim() != "0" {
        return Ok(());
    }
    fs::write(&path, "1").map_err(failed())
}

/// A host that forwards stops heeding router advertisements, from which it may have its default
/// route, unless it is told to heed them all the same.
fn enable_ipv6() -> Result<(), Error> {
    let forwards = fs::read_to_string(path_of(IPV6_FORWARDING)).is_ok_and(|on| on.trim() != "0");
    if !forwards {
        for interface in fs::read_dir("/proc/sys/net/ipv6/conf")
            .into_iter()
            .flatten()
            .flatten()
        {
            let accept = interface.path().join("accept_ra");
            if fs::read_to_string(&accept).is_ok_and(|mode| mode.trim() == "1") {
                fs::write(&accept, "2").map_err(Error::io(format!(
                    "keep router advertisements on {} while forwarding",
                    interface.file_name().to_string_lossy()
                )))?;
            }
        }
    }
    enable(IPV6_FORWARDING)
}

async fn nft(arguments: &[&str], input: &str) -> Result<(), Error> {
    let failed = |source: std::io::Error| {
        let operation = if source.kind() == std::io::ErrorKind::NotFound {
            "run nft, which a gateway needs (install the package nftables)"
        } else {
            "run nft"
        };
        Error::io(operation)(source)
    };
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(failed)?;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&output.stderr)
        .chars()
        .take(400)
        .collect();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::problem(format!(
        "unable to change the firewall: nft says: {said}"
    )))
}
