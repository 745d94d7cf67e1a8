//! A site's own network behind a host, with one more host on it: what a site's routes lead to.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::Core;
use super::anchor::Anchor;
use super::invocation::{Invocation, Output};

/// A LAN host. It knows its own network only, as hosts behind a gateway do that nobody told.
#[derive(Debug)]
pub struct Lan {
    core: Arc<Core>,
    anchor: Anchor,
    interface: String,
    gateway: IpAddr,
    address: IpAddr,
    prefix_length: u8,
}

impl Lan {
    pub(super) fn start(core: &Arc<Core>, host: &str, index: usize, cidr: &str) -> Result<Self> {
        let (network, prefix_length) = parse(cidr)?;
        Ok(Self {
            core: Arc::clone(core),
            anchor: core.raise(&format!("{host}-lan{index}"))?,
            interface: format!("lan{index}"),
            gateway: offset(network, 1)?,
            address: offset(network, 2)?,
            prefix_length,
        })
    }

    /// The LAN host's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The address of the host that the LAN belongs to.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Runs a command on the LAN host.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn exec(&self, invocation: impl Into<Invocation>) -> Result<Output> {
        invocation.into().run(&self.anchor.enter_arguments())
    }

    /// Tells the LAN host that its gateway leads everywhere.
    ///
    /// # Errors
    ///
    /// When the route can't be set.
    pub fn add_default_route(&self) -> Result<()> {
        let gateway = self.gateway.to_string();
        self.exec(["ip", "route", "replace", "default", "via", gateway.as_str()])?
            .success()?;
        Ok(())
    }

    /// Joins the LAN host to its gateway, again after each restart of it.
    pub(super) fn plug_in(&self, gateway: &Anchor) -> Result<()> {
        let (interface, prefix_length) = (&self.interface, self.prefix_length);
        let nodad = if self.address.is_ipv6() { "nodad" } else { "" };
        let join = format!(
            "ip link add {interface} netns {} type veth peer name eth0 netns {}",
            gateway.pid_in_laboratory()?,
            self.anchor.pid_in_laboratory()?,
        );
        self.core.exec(&Invocation::script(&join))?.success()?;
        for (anchor, name, address) in [
            (gateway, interface.as_str(), self.gateway),
            (&self.anchor, "eth0", self.address),
        ] {
            Invocation::script(&format!(
                "ip addr add {address}/{prefix_length} dev {name} {nodad}; ip link set {name} up"
            ))
            .run(&anchor.enter_arguments())?
            .success()
            .with_context(|| format!("unable to set up {name} of the LAN"))?;
        }
        Ok(())
    }
}

fn parse(cidr: &str) -> Result<(IpAddr, u8)> {
    let parsed = cidr.split_once('/').and_then(|(address, length)| {
        Some((address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?))
    });
    let Some((address, length)) = parsed else {
        bail!("`{cidr}` is no network")
    };
    let longest = if address.is_ipv4() { 30 } else { 126 };
    if length > longest {
        bail!("`{cidr}` has no room for two hosts");
    }
    Ok((address, length))
}

fn offset(network: IpAddr, by: u8) -> Result<IpAddr> {
    let sum = match network {
        IpAddr::V4(address) => u32::from(address)
            .checked_add(by.into())
            .map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(address) => u128::from(address)
            .checked_add(by.into())
            .map(|n| IpAddr::V6(n.into())),
    };
    sum.with_context(|| format!("{network} is the end of all addresses"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_first_two_addresses_for_the_gateway_and_the_host() {
        let (network, length) = parse("10.20.0.0/16").unwrap();
        assert_eq!(
            (offset(network, 2).unwrap().to_string().as_str(), length),
            ("10.20.0.2", 16)
        );
    }

    #[test]
    fn what_is_no_network_or_too_small_is_refused() {
        for cidr in [
            "10.0.0.0",
            "ten/8",
            "10.0.0.0/31",
            "fd00::/127",
            "10.0.0.0/999",
        ] {
            assert!(parse(cidr).is_err(), "{cidr}");
        }
    }
}
