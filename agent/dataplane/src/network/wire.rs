//! Between our own types and netlink's messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hanse_core::cidr::Cidr;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::{AddressMessageBuilder, RouteMessageBuilder};

use super::routing::{Address, Family, Route, Rule, RuleKind};
use super::{Link, LinkKind};

pub(super) fn link_of(message: &LinkMessage) -> Option<Link> {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        kind: LinkKind::Other,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(kind) = info {
                        link.kind = LinkKind::of(kind);
                    }
                }
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

pub(super) fn address_of(message: &AddressMessage) -> Option<Address> {
    let of = |local: bool| {
        message
            .attributes
            .iter()
            .find_map(move |attribute| match attribute {
                AddressAttribute::Local(address) if local => Some(*address),
                AddressAttribute::Address(address) if !local => Some(*address),
                _ => None,
            })
    };
    Some(Address {
        interface_index: message.header.index,
        address: of(true).or_else(|| of(false))?,
        prefix_length: message.header.prefix_len,
    })
}

pub(super) fn address_message(address: &Address) -> AddressMessage {
    match address.address {
        IpAddr::V4(ip) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(address.interface_index)
            .address(ip, address.prefix_length)
            .build(),
        IpAddr::V6(ip) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(address.interface_index)
            .address(ip, address.prefix_length)
            .build(),
    }
}

/// A mesh address is usable at once, and makes no route of its own in the main table.
pub(super) fn finish_address(message: &mut AddressMessage, is_ipv6: bool) {
    if is_ipv6 {
        let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
        message.attributes.push(AddressAttribute::Flags(flags));
    }
}

pub(super) fn route_of(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    if header.kind != RouteType::Unicast {
        return None;
    }
    let (mut destination, mut interface_index, mut source) = (None, None, None);
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = Some(ip_of(address)?),
            RouteAttribute::Oif(index) => interface_index = Some(*index),
            RouteAttribute::PrefSource(address) => source = ip_of(address),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::MultiPath(hops) => {
                interface_index = hops.first().map(|hop| hop.interface_index);
            }
            _ => {}
        }
    }
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let address = destination.unwrap_or(unspecified);
    let text = format!("{address}/{}", header.destination_prefix_length);
    Some(Route {
        table,
        destination: text.parse::<Cidr>().ok()?,
        interface_index: interface_index?,
        source,
    })
}

/// The message for a route; none: source and destination are of different families.
pub(super) fn route_message(route: &Route) -> Option<RouteMessage> {
    let length = route.destination.prefix_length();
    let mut message = match route.destination.address() {
        IpAddr::V4(address) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(address, length)
            .scope(RouteScope::Link)
            .output_interface(route.interface_index)
            .table_id(route.table)
            .build(),
        IpAddr::V6(address) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(address, length)
            .output_interface(route.interface_index)
            .table_id(route.table)
            .build(),
    };
    if let Some(source) = route.source {
        if source.is_ipv4() != route.destination.is_ipv4() {
            return None;
        }
        message
            .attributes
            .push(RouteAttribute::PrefSource(source.into()));
    }
    Some(message)
}

/// The message that removes a route, by whomever and however it was made.
pub(super) fn route_removal(route: &Route) -> Option<RouteMessage> {
    let mut message = route_message(route)?;
    message.header.protocol = RouteProtocol::Unspec;
    message.header.scope = RouteScope::NoWhere;
    message.header.kind = RouteType::Unspec;
    Some(message)
}

pub(super) fn rule_of(message: &RuleMessage) -> Option<Rule> {
    let mut table = u32::from(message.header.table);
    let (mut priority, mut mark, mut suppressed) = (0, None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::FwMark(number) => mark = Some(*number),
            // The kernel shows "none" as all ones.
            RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => {
                suppressed = Some(*length);
            }
            _ => {}
        }
    }
    let inverted = message.header.flags.contains(RuleFlags::Invert);
    let kind = match (mark, suppressed, inverted) {
        (None, Some(0), false) => RuleKind::NoDefaultRoute,
        (Some(mark), None, true) => RuleKind::Unmarked(mark),
        _ => return None,
    };
    let family = match message.header.family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    Some(Rule {
        family,
        priority,
        table,
        kind,
    })
}

pub(super) fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = match rule.family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Table(rule.table));
    message
        .attributes
        .push(RuleAttribute::Priority(rule.priority));
    match rule.kind {
        RuleKind::NoDefaultRoute => {
            message.attributes.push(RuleAttribute::SuppressPrefixLen(0));
        }
        RuleKind::Unmarked(mark) => {
            message.header.flags = RuleFlags::Invert;
            message.attributes.push(RuleAttribute::FwMark(mark));
        }
    }
    message
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
