//! The tables at the end: what the hosts themselves say, measured and not remembered.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::MEMBER_CLUSTERS;
use crate::laboratory::{Host, Laboratory};
use crate::terraform::Terraform;
use crate::wireguard;

/// One row a node: its addresses by Terraform's output, its handshakes by its own WireGuard.
pub(super) fn nodes(laboratory: &Laboratory, terraform: &Terraform) -> Result<String> {
    let addresses = addresses(terraform)?;
    let mut table = new_table([
        "node",
        "member cluster",
        "mesh addresses",
        "interface",
        "handshakes",
    ]);
    for (host, member_cluster) in laboratory.hosts().iter().zip(MEMBER_CLUSTERS) {
        let peers = wireguard::observe(host)?;
        let handshakes: Vec<String> = peers
            .iter()
            .map(|peer| format!("{} {}", peer.endpoint, age(peer.latest_handshake_unix_s)))
            .collect();
        table.add_row([
            host.name().to_owned(),
            member_cluster.to_owned(),
            addresses_of(&addresses, host)?.join("\n"),
            host.added_interfaces()?.join("\n"),
            handshakes.join("\n"),
        ]);
    }
    Ok(table.to_string())
}

/// One row for each ordered pair: the round trip through the mesh on v4 and v6.
pub(super) fn pairs(laboratory: &Laboratory, terraform: &Terraform) -> Result<String> {
    let addresses = addresses(terraform)?;
    let mut table = new_table(["from", "to", "address", "ping"]);
    for from in laboratory.hosts() {
        for to in laboratory
            .hosts()
            .iter()
            .filter(|to| to.number() != from.number())
        {
            for address in addresses_of(&addresses, to)? {
                let time = ping(from, address)?;
                table.add_row([from.name(), to.name(), address, &time]);
            }
        }
    }
    Ok(table.to_string())
}

fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn addresses(terraform: &Terraform) -> Result<BTreeMap<String, Vec<String>>> {
    serde_json::from_value(terraform.output("addresses")?)
        .context("the output `addresses` is no map of lists")
}

fn addresses_of<'a>(
    addresses: &'a BTreeMap<String, Vec<String>>,
    host: &Host,
) -> Result<&'a Vec<String>> {
    addresses
        .get(host.name())
        .with_context(|| format!("the mesh has no addresses for {}", host.name()))
}

fn ping(from: &Host, address: &str) -> Result<String> {
    let output = from
        .exec(["ping", "-q", "-c", "3", "-i", "0.2", "-w", "10", address])?
        .success()?;
    match mean_ms(&output.stdout) {
        Some(mean) => Ok(format!("{mean} ms")),
        None => bail!("ping printed no times: {}", output.stdout),
    }
}

/// From `rtt min/avg/max/mdev = 0.1/0.2/0.3/0.0 ms`.
fn mean_ms(said: &str) -> Option<&str> {
    let (_, times) = said.split_once("mdev = ")?;
    times.split('/').nth(1)
}

fn age(handshake_unix_s: u64) -> String {
    if handshake_unix_s == 0 {
        return "never".to_owned();
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    format!("{} s ago", now.saturating_sub(handshake_unix_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_the_second_of_the_four_times() {
        let said = "3 packets transmitted\nrtt min/avg/max/mdev = 0.041/0.052/0.063/0.009 ms\n";
        assert_eq!(mean_ms(said), Some("0.052"));
        assert_eq!(mean_ms("1 packets transmitted, 0 received"), None);
    }

    #[test]
    fn no_handshake_is_not_a_very_old_one() {
        assert_eq!(age(0), "never");
    }
}
