//! Puts mesh plans into effect on this host: WireGuard, addresses, routes, proofs.
//!
//! An agent hands over plans and reads observations; everything between is here. This crate knows
//! no federation, no gRPC and no identity, and takes no decision that a plan has not taken. What
//! carries packets outlives it: stopping, killing or upgrading the process that hosts it leaves
//! interfaces, daemons and routes as they are, and the next start adopts them.

mod config;
mod daemon;
mod dataplane;
mod device;
mod error;
mod file;
mod gateway;
mod key;
mod names;
mod network;
mod observation;
mod owned;
mod proof;
mod reconcile;
mod service_address;
mod view;

pub use config::Config;
pub use daemon::run_wireguard_daemon;
pub use dataplane::Dataplane;
pub use error::Error;
pub use observation::{Backend, MeshObservation, Observation, PeerObservation};
pub use service_address::ServiceAddresses;
