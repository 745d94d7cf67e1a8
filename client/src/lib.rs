//! How a program talks to a federation: mutual TLS, endpoints, conversions.
//!
//! The Terraform provider, the command line and every agent come through here, so that they trust
//! the same certificates, read the same refusals and speak of the same objects. This crate never
//! decides what is allowed (that is `hanse-core`) and never serves.

mod audit;
mod authority;
mod backup;
mod call;
pub mod client;
pub mod clock;
mod complaints;
mod connect;
pub mod convert;
pub mod credentials;
mod dr;
pub mod drill_run;
pub mod environment;
pub mod error;
pub mod fingerprint;
mod identity;
mod issue;
pub mod patience;
pub mod plan_run;
mod plan_watch;
pub mod refusal;
pub mod spiffe;
pub mod tls;
mod voter;
mod ways;

pub use client::{Applied, Client, Snapshot};
pub use clock::{Clock, Reading, WallClock};
pub use complaints::{complaints, figures_age_ms};
pub use connect::{Attempt, MESSAGE_LIMIT_BYTES, between_voters, with_socket_path};
pub use credentials::{Credentials, CredentialsError};
pub use dr::Renewed;
pub use error::ClientError;
pub use fingerprint::Fingerprint;
pub use hanse_core::admission::RefusalKind;
pub use hanse_proto::hanse::v1 as proto;
pub use patience::Patience;
pub use spiffe::{Identity, Role};
