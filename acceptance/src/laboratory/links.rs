//! Which frames the wire between the hosts lets through.
//!
//! Faults are a set; every change writes the whole set anew as one nftables transaction at the
//! bridge's ports, outside the hosts. A host sees no carrier loss and no rule of ours: its frames
//! are just gone, as on a broken line far away.

use std::collections::BTreeSet;
use std::fmt::Write;

/// One fault of the wire. Hosts are named by their numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fault {
    /// Nothing that the host sends arrives anywhere.
    FromHost(u8),
    /// Nothing that is sent to the host arrives.
    ToHost(u8),
    /// Nothing that the first host sends to the second arrives.
    OneWay(u8, u8),
}

impl Fault {
    /// Whether the fault belongs to the host.
    pub(super) fn touches(self, host: u8) -> bool {
        match self {
            Self::FromHost(number) | Self::ToHost(number) => number == host,
            Self::OneWay(from, to) => from == host || to == host,
        }
    }
}

/// The name of the bridge's port that leads to a host.
pub(super) fn port(host: u8) -> String {
    format!("port{host}")
}

/// A host's hardware address: the same after a restart, so that its neighbours need not learn it.
pub(super) fn hardware_address(host: u8) -> String {
    format!("02:00:00:00:99:{host:02x}")
}

/// The input of `nft -f` that makes the wire have exactly `faults`; `ports` are the hosts that
/// are plugged in.
pub(super) fn ruleset(faults: &BTreeSet<Fault>, ports: &BTreeSet<u8>) -> String {
    let mut rules = String::from("table netdev laboratory\ndelete table netdev laboratory\n");
    rules.push_str("table netdev laboratory {\n");
    for host in ports {
        let port = port(*host);
        let mut ingress = String::new();
        let mut egress = String::new();
        for fault in faults {
            match *fault {
                Fault::FromHost(from) if from == *host => ingress.push_str(" drop;"),
                Fault::ToHost(to) if to == *host => egress.push_str(" drop;"),
                Fault::OneWay(from, to) if from == *host => {
                    // Writing to a String can't fail.
                    let _ = write!(ingress, " ether daddr {} drop;", hardware_address(to));
                }
                Fault::FromHost(_) | Fault::ToHost(_) | Fault::OneWay(..) => {}
            }
        }
        for (hook, drops) in [("ingress", ingress), ("egress", egress)] {
            if !drops.is_empty() {
                let _ = writeln!(
                    rules,
                    "chain {hook}-{port} {{ type filter hook {hook} device \"{port}\" priority 0;{drops} }}"
                );
            }
        }
    }
    rules.push_str("}\n");
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_wire_has_no_rules() {
        let rules = ruleset(&BTreeSet::new(), &BTreeSet::from([1, 2]));
        assert!(!rules.contains("chain"), "{rules}");
    }

    #[test]
    fn a_host_that_is_unplugged_has_no_rules() {
        let faults = BTreeSet::from([Fault::FromHost(1), Fault::FromHost(2)]);
        let rules = ruleset(&faults, &BTreeSet::from([2]));
        assert!(
            rules.contains("\"port2\"") && !rules.contains("\"port1\""),
            "{rules}"
        );
    }

    #[test]
    fn one_way_drops_only_what_one_host_sends_to_the_other() {
        let faults = BTreeSet::from([Fault::OneWay(1, 2)]);
        let rules = ruleset(&faults, &BTreeSet::from([1, 2]));
        assert!(rules.contains("device \"port1\" priority 0; ether daddr 02:00:00:00:99:02 drop;"));
        assert!(
            !rules.contains("egress") && !rules.contains("\"port2\""),
            "{rules}"
        );
    }
}
