//! Links, addresses, routes and rules of this host, read and changed over netlink.
//!
//! Reads everything once per reconcile and decides nothing: what to add and what to remove is
//! decided in [`routing`] from sets.

pub(crate) mod routing;
mod wire;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use futures::stream::StreamExt;
use rtnetlink::packet_route::link::InfoKind;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{
    Handle, IpVersion, LinkUnspec, LinkWireguard, MulticastGroup, RouteMessageBuilder,
};
use rustix::io::Errno;
use tokio::sync::mpsc;

use crate::error::Error;
use routing::{Address, Route, Rule};

/// Netlink, and what this host has now.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    handle: Handle,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: LinkKind,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
}

/// What an interface is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    WireGuard,
    Tun,
    Other,
}

/// What this host has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) links: BTreeMap<String, Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    pub(crate) rules: Vec<Rule>,
}

impl Network {
    /// Opens netlink. The receiver yields whenever links, addresses or routes change, by whomever.
    pub(crate) fn open() -> Result<(Self, mpsc::Receiver<()>), Error> {
        let open = || Error::io("open a netlink socket");
        let network = Self::open_silent()?;
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Rule,
        ];
        let (connection, _, mut changes) =
            rtnetlink::new_multicast_connection(&groups).map_err(open())?;
        tokio::spawn(connection);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            while changes.next().await.is_some() {
                if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                    return;
                }
            }
        });
        Ok((network, receiver))
    }

    /// Opens netlink and hears of no changes.
    pub(crate) fn open_silent() -> Result<Self, Error> {
        let opened = rtnetlink::new_connection().map_err(Error::io("open a netlink socket"));
        let (connection, handle, _) = opened?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Error> {
        let addresses: Vec<_> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(Error::netlink("list addresses"))?;
        let mut snapshot = Snapshot {
            links: self.links().await?,
            addresses: addresses.iter().filter_map(wire::address_of).collect(),
            ..Snapshot::default()
        };
        for version in [IpVersion::V4, IpVersion::V6] {
            snapshot.routes.extend(self.routes(&version).await?);
            let rules: Result<Vec<_>, _> = self
                .handle
                .rule()
                .get(version)
                .execute()
                .try_collect()
                .await;
            match rules {
                Ok(rules) => snapshot
                    .rules
                    .extend(rules.iter().filter_map(wire::rule_of)),
                Err(error) => ignore_missing_family(error, "list routing rules")?,
            }
        }
        Ok(snapshot)
    }

    pub(crate) async fn links(&self) -> Result<BTreeMap<String, Link>, Error> {
        let links: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(Error::netlink("list interfaces"))?;
        let links = links.iter().filter_map(wire::link_of);
        Ok(links.map(|link| (link.name.clone(), link)).collect())
    }

    async fn routes(&self, version: &IpVersion) -> Result<Vec<Route>, Error> {
        let message = match version {
            IpVersion::V4 => RouteMessageBuilder::<Ipv4Addr>::new().build(),
            IpVersion::V6 => RouteMessageBuilder::<Ipv6Addr>::new().build(),
        };
        let routes: Result<Vec<RouteMessage>, _> = self
            .handle
            .route()
            .get(message)
            .execute()
            .try_collect()
            .await;
        match routes {
            Ok(routes) => Ok(routes.iter().filter_map(wire::route_of).collect()),
            Err(error) => ignore_missing_family(error, "list routes").map(|()| Vec::new()),
        }
    }

    /// Makes an interface that the kernel's WireGuard carries.
    pub(crate) async fn add_wireguard(&self, name: &str) -> Result<(), Error> {
        let message = LinkWireguard::new(name).build();
        let operation = format!("make the WireGuard interface {name}");
        self.handle
            .link()
            .add(message)
            .execute()
            .await
            .map_err(Error::netlink(operation))
    }

    /// Deletes an interface; one that is gone is deleted.
    pub(crate) async fn delete_link(&self, link: &Link) -> Result<(), Error> {
        let operation = format!("delete the interface {}", link.name);
        let deleted = self.handle.link().del(link.index).execute().await;
        unless(deleted.map_err(Error::netlink(operation)), &[Errno::NODEV])
    }

    pub(crate) async fn bring_up(&self, link: &Link, mtu: u32) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).mtu(mtu).up().build();
        let operation = format!("bring the interface {} up with an MTU of {mtu}", link.name);
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(Error::netlink(operation))
    }

    pub(crate) async fn add_address(&self, address: &Address, to: &Link) -> Result<(), Error> {
        let operation = format!("add the address {} to {}", address.address, to.name);
        let mut request =
            self.handle
                .address()
                .add(to.index, address.address, address.prefix_length);
        wire::finish_address(request.message_mut(), address.address.is_ipv6());
        let added = request.execute().await.map_err(Error::netlink(operation));
        unless(added, &[Errno::EXIST])
    }

    pub(crate) async fn remove_address(&self, address: &Address, of: &Link) -> Result<(), Error> {
        let operation = format!("remove the address {} from {}", address.address, of.name);
        let message = wire::address_message(address);
        let removed = self.handle.address().del(message).execute().await;
        unless(
            removed.map_err(Error::netlink(operation)),
            &[Errno::ADDRNOTAVAIL, Errno::NODEV],
        )
    }

    /// Adds a route, or changes the one that stands at its place if `replace`.
    pub(crate) async fn add_route(&self, route: &Route, replace: bool) -> Result<(), Error> {
        let operation = format!("add the route to {}", route.destination);
        let message = wire::route_message(route).ok_or_else(|| {
            Error::problem(format!("{operation}: its source is of another family"))
        })?;
        let mut request = self.handle.route().add(message);
        if replace {
            request = request.replace();
        }
        request.execute().await.map_err(Error::netlink(operation))
    }

    pub(crate) async fn remove_route(&self, route: &Route) -> Result<(), Error> {
        let operation = format!("remove the route to {}", route.destination);
        let Some(message) = wire::route_removal(route) else {
            return Ok(());
        };
        let removed = self.handle.route().del(message).execute().await;
        unless(
            removed.map_err(Error::netlink(operation)),
            &[Errno::SRCH, Errno::NODEV],
        )
    }

    pub(crate) async fn add_rule(&self, rule: &Rule) -> Result<(), Error> {
        let operation = format!("add the routing rule of priority {}", rule.priority);
        let mut request = self.handle.rule().add();
        *request.message_mut() = wire::rule_message(rule);
        let added = request.execute().await.map_err(Error::netlink(operation));
        unless(added, &[Errno::EXIST])
    }

    pub(crate) async fn remove_rule(&self, rule: &Rule) -> Result<(), Error> {
        let operation = format!("remove the routing rule of priority {}", rule.priority);
        let message: RuleMessage = wire::rule_message(rule);
        let removed = self.handle.rule().del(message).execute().await;
        unless(removed.map_err(Error::netlink(operation)), &[Errno::NOENT])
    }

    /// The interface through which WireGuard's own packets reach an address; none: there is no
    /// route.
    pub(crate) async fn interface_towards(&self, address: IpAddr, mark: u32) -> Option<u32> {
        let message = match address {
            IpAddr::V4(address) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(address, 32)
                .mark(mark)
                .build(),
            IpAddr::V6(address) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(address, 128)
                .mark(mark)
                .build(),
        };
        let mut answers = std::pin::pin!(self.handle.route().get(message).execute());
        let route = answers.try_next().await.ok()??;
        route
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            })
    }
}

impl LinkKind {
    fn of(kind: &InfoKind) -> Self {
        match kind {
            InfoKind::Wireguard => Self::WireGuard,
            InfoKind::Tun => Self::Tun,
            _ => Self::Other,
        }
    }
}

/// A refusal with one of these codes means that there is nothing to do.
fn unless(result: Result<(), Error>, harmless: &[Errno]) -> Result<(), Error> {
    match result {
        Err(error) if error.errno().is_some_and(|code| harmless.contains(&code)) => Ok(()),
        other => other,
    }
}

/// A host without IPv6 has nothing of it.
fn ignore_missing_family(error: rtnetlink::Error, operation: &str) -> Result<(), Error> {
    let missing = [Errno::AFNOSUPPORT, Errno::OPNOTSUPP];
    unless(Err(Error::netlink(operation)(error)), &missing)
}
