//! Leads clients to whoever is primary, and tells others that it is somebody else now.
//!
//! Leading is not fencing: nothing here stops a former primary, and nothing waits for resolvers to
//! forget. What it keeps is that a writer whose epoch is past never leads clients back: [`decide`] says
//! what to change given what was read, [`Dns`] and [`Route53`] do it under a prerequisite. It knows no
//! plan and no federation. Whoever else asks servers of others (`hanse-fence`) takes [`Http`] and [`aws`]
//! from here.

pub mod aws;
mod clock;
mod decide;
mod error;
pub mod hook;
mod http;
mod lead;
mod name;
mod rfc2136;
mod route53;
mod secret;

use std::net::IpAddr;

pub use aws::AwsCredentials;
pub use clock::Clock;
pub use decide::{Change, Decision, RecordSet, Sight, decide};
pub use error::{ConfigError, DnsProblem, RedirectError, Route53Problem};
pub use http::{Answer, Http, HttpError, HttpUrl};
pub use lead::{Found, Led, Spread, Written, Zone, check, lead};
pub use name::DnsName;
pub use rfc2136::{Dns, DnsConfig, TsigAlgorithm, TsigKey};
pub use route53::{Route53, Route53Config};
pub use secret::Secret;

/// Leads clients in one of the ways that there are.
#[derive(Debug, Clone)]
pub enum Redirect {
    /// By a DNS server.
    Dns(Dns),
    /// By Amazon Route 53.
    Route53(Route53),
}

impl Redirect {
    /// Leads clients to an address, unless somebody with a later epoch has led them: see [`lead()`].
    ///
    /// # Errors
    ///
    /// The epoch is superseded, or the server can't be reached, refuses, or is changed all the time.
    pub async fn lead(&self, to: IpAddr, epoch: u64) -> Result<Led, RedirectError> {
        match self {
            Self::Dns(zone) => lead(zone, to, epoch).await,
            Self::Route53(zone) => lead(zone, to, epoch).await,
        }
    }

    /// Where clients are led, and whether a change would be permitted: see [`check()`].
    ///
    /// # Errors
    ///
    /// It can't be read, isn't what could be led, or a change would be refused.
    pub async fn check(&self) -> Result<Found, RedirectError> {
        match self {
            Self::Dns(zone) => check(zone).await,
            Self::Route53(zone) => check(zone).await,
        }
    }
}
