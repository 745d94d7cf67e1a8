//! One WireGuard device, whatever carries it: what it has, and how a delta is put into effect.
//!
//! It decides nothing: deltas come from `hanse_core::wireguard`.

mod kernel;
mod uapi;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hanse_core::key::PublicKey;
use hanse_core::object::vpn_mesh::InterfaceName;
use hanse_core::wireguard::{DeviceDelta, ObservedDevice};

pub(crate) use kernel::KernelDevice;
pub(crate) use uapi::UserspaceDevice;

use crate::error::Error;
use crate::key::PrivateKey;
use crate::observation::Backend;

/// A WireGuard device.
#[derive(Debug, Clone)]
pub(crate) enum Device {
    Kernel(KernelDevice),
    Userspace(UserspaceDevice),
}

/// What a device has, and what went through it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceState {
    pub(crate) observed: ObservedDevice,
    pub(crate) counters: BTreeMap<PublicKey, Counters>,
}

/// What went to and came from a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) last_handshake: Option<SystemTime>,
}

impl Device {
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Kernel(_) => Backend::Kernel,
            Self::Userspace(_) => Backend::WireguardGo,
        }
    }

    pub(crate) async fn observe(&self) -> Result<DeviceState, Error> {
        match self {
            Self::Kernel(device) => device.observe().await,
            Self::Userspace(device) => device.observe().await,
        }
    }

    /// Puts a delta into effect; an empty one sends nothing.
    pub(crate) async fn apply(&self, key: &PrivateKey, delta: &DeviceDelta) -> Result<(), Error> {
        if delta.is_empty() {
            return Ok(());
        }
        match self {
            Self::Kernel(device) => device.apply(key, delta).await,
            Self::Userspace(device) => device.apply(key, delta).await,
        }
    }
}

impl Counters {
    /// How long ago the last handshake was; a clock that was set back makes it just now.
    pub(crate) fn handshake_age(&self, now: SystemTime) -> Option<Duration> {
        let at = self.last_handshake?;
        Some(now.duration_since(at).unwrap_or(Duration::ZERO))
    }
}

fn operation(verb: &str, interface: &InterfaceName) -> String {
    format!("{verb} the WireGuard device {interface}")
}
