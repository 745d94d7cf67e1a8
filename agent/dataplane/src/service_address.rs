//! An address that follows a workload's primary from host to host. It lies on the loopback: packets
//! for it come in over the mesh, and whatever looks after the mesh's interface leaves it alone.

use std::net::IpAddr;

use crate::error::Error;
use crate::network::Network;
use crate::network::routing::Address;

const LOOPBACK: &str = "lo";

/// Moves service addresses to this host and away.
#[derive(Debug, Clone)]
pub struct ServiceAddresses {
    network: Network,
}

impl ServiceAddresses {
    /// Opens netlink; to be called in a runtime.
    ///
    /// # Errors
    /// When there is no netlink.
    pub fn open() -> Result<Self, Error> {
        let network = Network::open_silent()?;
        Ok(Self { network })
    }

    /// Has the address here; one that is here already is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn add(&self, address: IpAddr) -> Result<(), Error> {
        let (address, loopback) = self.place(address).await?;
        self.network.add_address(&address, &loopback).await
    }

    /// Has it here no more; one that is not here isn't.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn remove(&self, address: IpAddr) -> Result<(), Error> {
        let (address, loopback) = self.place(address).await?;
        self.network.remove_address(&address, &loopback).await
    }

    async fn place(&self, address: IpAddr) -> Result<(Address, crate::network::Link), Error> {
        let mut links = self.network.links().await?;
        let loopback = links
            .remove(LOOPBACK)
            .ok_or_else(|| Error::problem("this host has no loopback interface"))?;
        let address = Address {
            interface_index: loopback.index,
            address,
            prefix_length: if address.is_ipv4() { 32 } else { 128 },
        };
        Ok((address, loopback))
    }
}
