//! Service addresses on this host.

use async_trait::async_trait;
use hanse_dataplane::ServiceAddresses;
use hanse_guard::{Addresses, ServiceAddress};

/// The host's loopback, where a service address lies.
pub(super) struct Loopback(ServiceAddresses);

impl Loopback {
    pub(super) fn open() -> anyhow::Result<Self> {
        let opened = ServiceAddresses::open();
        opened
            .map(Self)
            .map_err(|error| anyhow::anyhow!(error.sentence()))
    }
}

#[async_trait]
impl Addresses for Loopback {
    async fn add(&self, service: &ServiceAddress) -> Result<(), String> {
        let added = self.0.add(service.address).await;
        added.map_err(|error| error.sentence())
    }

    async fn remove(&self, service: &ServiceAddress) -> Result<(), String> {
        let removed = self.0.remove(service.address).await;
        removed.map_err(|error| error.sentence())
    }
}
