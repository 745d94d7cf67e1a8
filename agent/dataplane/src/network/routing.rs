//! Which addresses, routes and rules to add and to remove, decided from sets.
//!
//! The meshes' routes live in a table of their own. Two rules in each family lead there: the main
//! table without its default route is asked first, so that a foreign route always wins; then all
//! packets but WireGuard's own look into our table, so that an endpoint inside a site's network
//! makes no loop.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use hanse_core::cidr::Cidr;

/// The kernel's main routing table.
const MAIN_TABLE: u32 = 254;
/// Our rules stand before those of other programs, and after the kernel's local table.
const RULE_PRIORITY: u32 = 5_180;
/// Under it IPv6 does not work (RFC 8200, section 5).
pub(crate) const IPV6_MTU_MIN: u32 = 1280;
/// The MTU where the underlay's is not known: 1500 less WireGuard's 80.
const MTU_FALLBACK: u32 = 1420;
/// What WireGuard adds to a packet: 40 of IPv6, 8 of UDP, 32 of its own.
const WIREGUARD_OVERHEAD: u32 = 80;
/// A loopback underlay would give more than an interface takes.
const MTU_MAX: u32 = 8920;
const MTU_MIN: u32 = 576;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) interface_index: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
}

/// A route through an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) table: u32,
    pub(crate) destination: Cidr,
    pub(crate) interface_index: u32,
    pub(crate) source: Option<IpAddr>,
}

/// A routing rule of a kind that we make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) family: Family,
    pub(crate) priority: u32,
    pub(crate) table: u32,
    pub(crate) kind: RuleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RuleKind {
    /// Look into the table, but take no default route from it.
    NoDefaultRoute,
    /// Packets without this mark look into the table.
    Unmarked(u32),
}

/// What to add, what to put in the place of another, and what to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change<T> {
    pub(crate) add: Vec<T>,
    pub(crate) replace: Vec<T>,
    pub(crate) remove: Vec<T>,
}

/// Addresses: those wanted, and nothing else on our interface but the kernel's own link-local.
pub(crate) fn addresses(
    observed: &[Address],
    interface_index: u32,
    wanted: &[IpAddr],
) -> Change<Address> {
    let wanted: BTreeSet<Address> = wanted
        .iter()
        .map(|address| Address {
            interface_index,
            address: *address,
            prefix_length: if address.is_ipv4() { 32 } else { 128 },
        })
        .collect();
    let present: BTreeSet<Address> = observed
        .iter()
        .filter(|a| a.interface_index == interface_index)
        .cloned()
        .collect();
    let link_local = |address: &Address| match address.address {
        IpAddr::V6(ip) => is_link_local(ip),
        IpAddr::V4(_) => false,
    };
    Change {
        add: wanted.difference(&present).cloned().collect(),
        replace: Vec::new(),
        remove: present
            .difference(&wanted)
            .filter(|a| !link_local(a))
            .cloned()
            .collect(),
    }
}

/// Routes: those wanted in our table through our interface, and no others of that kind.
pub(crate) fn routes(
    observed: &[Route],
    table: u32,
    interface_index: u32,
    wanted: &[Cidr],
    own_addresses: &[IpAddr],
) -> Change<Route> {
    let source = |destination: &Cidr| {
        own_addresses
            .iter()
            .find(|own| own.is_ipv4() == destination.is_ipv4())
            .copied()
    };
    let wanted: BTreeSet<Route> = wanted
        .iter()
        .map(|destination| Route {
            table,
            destination: *destination,
            interface_index,
            source: source(destination),
        })
        .collect();
    let ours = |route: &&Route| route.table == table && route.interface_index == interface_index;
    let present: BTreeSet<Route> = observed.iter().filter(ours).cloned().collect();
    let has_place = |route: &&Route| present.iter().any(|p| p.destination == route.destination);
    let still_wanted = |route: &&Route| wanted.iter().any(|w| w.destination == route.destination);
    let (replace, add) = wanted
        .difference(&present)
        .cloned()
        .partition(|route| has_place(&route));
    let remove = present
        .difference(&wanted)
        .filter(|r| !still_wanted(r))
        .cloned()
        .collect();
    Change {
        add,
        replace,
        remove,
    }
}

/// Foreign routes of the main table that come before ours, as sentences.
pub(crate) fn shadows(
    observed: &[Route],
    own_interfaces: &BTreeSet<u32>,
    wanted: &[Cidr],
    interface_name: impl Fn(u32) -> String,
) -> Vec<String> {
    let foreign = observed.iter().filter(|route| {
        route.table == MAIN_TABLE
            && route.destination.prefix_length() > 0
            && !own_interfaces.contains(&route.interface_index)
    });
    let pairs = foreign.flat_map(|route| {
        wanted
            .iter()
            .filter(|own| own.overlaps(&route.destination))
            .map(move |own| (route, own))
    });
    pairs
        .filter(|(route, _)| match route.destination.address() {
            IpAddr::V6(ip) => !is_link_local(ip),
            IpAddr::V4(_) => true,
        })
        .map(|(route, own)| {
            let part = if route.destination.prefix_length() > own.prefix_length() {
                "partly "
            } else {
                ""
            };
            format!(
                "the mesh's route {own} is {part}shadowed by {} through {} in the main table: \
                 packets go there and not into the mesh",
                route.destination,
                interface_name(route.interface_index),
            )
        })
        .collect()
}

/// The rules that lead into our table.
pub(crate) fn rules(table: u32, mark: u32, families: &[Family]) -> Vec<Rule> {
    let pair = |family: Family| {
        [
            Rule {
                family,
                priority: RULE_PRIORITY,
                table: MAIN_TABLE,
                kind: RuleKind::NoDefaultRoute,
            },
            Rule {
                family,
                priority: RULE_PRIORITY + 1,
                table,
                kind: RuleKind::Unmarked(mark),
            },
        ]
    };
    families.iter().copied().flat_map(pair).collect()
}

/// The interface's MTU: the plan's, or what the narrowest underlay leaves.
pub(crate) fn mtu(planned: Option<u16>, underlay_min: Option<u32>, has_ipv6: bool) -> u32 {
    let wanted = planned.map_or_else(
        || {
            let left = underlay_min.map_or(MTU_FALLBACK, |m| m.saturating_sub(WIREGUARD_OVERHEAD));
            left.min(MTU_MAX)
        },
        u32::from,
    );
    wanted.max(if has_ipv6 { IPV6_MTU_MIN } else { MTU_MIN })
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(table: u32, destination: &str, interface_index: u32) -> Route {
        Route {
            table,
            destination: destination.parse().unwrap(),
            interface_index,
            source: None,
        }
    }

    fn cidrs(texts: &[&str]) -> Vec<Cidr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_host_that_has_what_is_wanted_is_sent_nothing() {
        let own = ["10.0.0.1".parse().unwrap()];
        let observed = Route {
            source: Some(own[0]),
            ..route(9, "10.0.0.0/16", 4)
        };
        let change = routes(&[observed], 9, 4, &cidrs(&["10.0.0.0/16"]), &own);
        assert_eq!(
            change,
            Change {
                add: vec![],
                replace: vec![],
                remove: vec![]
            }
        );
    }

    #[test]
    fn another_source_is_replaced_and_never_removed() {
        let own = ["10.0.0.1".parse().unwrap()];
        let observed = [route(9, "10.0.0.0/16", 4)];
        let change = routes(&observed, 9, 4, &cidrs(&["10.0.0.0/16"]), &own);
        assert_eq!(
            (change.add.len(), change.replace.len(), change.remove.len()),
            (0, 1, 0)
        );
    }

    #[test]
    fn only_routes_of_our_table_and_interface_are_removed() {
        let observed = [
            route(9, "10.1.0.0/16", 4),
            route(9, "10.2.0.0/16", 5),
            route(254, "10.3.0.0/16", 4),
        ];
        let change = routes(&observed, 9, 4, &[], &[]);
        assert_eq!(change.remove, [observed[0].clone()]);
    }

    #[test]
    fn a_link_local_address_is_the_kernels_and_stays() {
        let address = |text: &str, prefix_length| Address {
            interface_index: 4,
            address: text.parse().unwrap(),
            prefix_length,
        };
        let observed = [
            address("fe80::1", 64),
            address("10.0.0.9", 24),
            address("10.0.0.1", 32),
        ];
        let wanted = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let change = addresses(&observed, 4, &wanted);
        assert_eq!(change.remove, [observed[1].clone()]);
        assert_eq!(change.add, [address("fd00::1", 128)]);
    }

    #[test]
    fn a_foreign_route_is_reported_unless_it_is_a_default_route() {
        let observed = [
            route(254, "0.0.0.0/0", 2),
            route(254, "10.0.0.0/8", 2),
            route(254, "10.9.1.0/24", 2),
            route(254, "10.9.0.0/16", 4),
            route(7, "10.9.0.0/16", 2),
        ];
        let found = shadows(&observed, &[4].into(), &cidrs(&["10.9.0.0/16"]), |_| {
            "eth0".into()
        });
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("10.9.0.0/16 is shadowed by 10.0.0.0/8 through eth0"));
        assert!(found[1].contains("partly shadowed by 10.9.1.0/24"));
    }

    #[test]
    fn the_mtu_is_what_the_narrowest_underlay_leaves() {
        assert_eq!(mtu(None, None, true), 1420);
        assert_eq!(mtu(None, Some(1450), true), 1370);
        assert_eq!(mtu(None, Some(1300), true), 1280);
        assert_eq!(mtu(None, Some(1300), false), 1220);
        assert_eq!(mtu(None, Some(65536), false), 8920);
        assert_eq!(mtu(Some(1380), Some(9000), true), 1380);
        assert_eq!(mtu(Some(1000), None, true), 1280);
    }
}
