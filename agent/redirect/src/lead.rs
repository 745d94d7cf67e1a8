//! Leading clients: read, decide, write, and again where somebody else was faster.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use crate::decide::{Change, Decision, Sight, decide};
use crate::error::RedirectError;
use crate::name::DnsName;

/// How often a change is tried. Each writer that is faster ends its own attempts, so that even many
/// of them leave room.
const ATTEMPTS_MAX: u32 = 10;
/// How long a server that is busy is left alone, at first and at most.
const BUSY_FIRST: Duration = Duration::from_millis(250);
const BUSY_MAX: Duration = Duration::from_secs(4);

/// A place that keeps the record and its mark, and changes both at once under a prerequisite.
pub trait Zone: Sync {
    /// The record that leads clients.
    fn record(&self) -> &DnsName;

    /// For how long resolvers may keep it, in seconds.
    fn ttl_s(&self) -> u32;

    /// What is there.
    ///
    /// # Errors
    ///
    /// It can't be read, or isn't what could be led.
    fn read(&self) -> impl Future<Output = Result<Sight, RedirectError>> + Send;

    /// Changes all of it, or nothing where the mark is no longer as it was read.
    ///
    /// # Errors
    ///
    /// It was refused, or what came of it is unknown ([`RedirectError::Cut`]).
    fn write(&self, change: &Change)
    -> impl Future<Output = Result<Written, RedirectError>> + Send;

    /// Asks for a change that changes nothing, and so learns whether one would be permitted.
    ///
    /// # Errors
    ///
    /// It is refused.
    fn probe(&self, sight: &Sight) -> impl Future<Output = Result<Written, RedirectError>> + Send;
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It took place.
    Done(Spread),
    /// It did not: the mark, or what lies about it, is no longer as it was read.
    Raced(String),
    /// It did not: the server has no time for it now.
    Busy(String),
}

/// How far a change has got, as far as the server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The zone's primary has it; its secondaries follow.
    Primary,
    /// Route 53 has it, and its name servers don't all answer with it yet.
    Pending,
    /// All of Route 53's name servers answer with it.
    InSync,
}

/// Clients are led: resolvers that had asked before follow within the former TTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// How it got there; none: it was so already, by an earlier attempt under the same epoch.
    pub spread: Option<Spread>,
    /// Where the record led before this call.
    pub before: Vec<String>,
    /// How often it was tried.
    pub attempts: u32,
}

/// Where clients are led; whoever looked may change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is there.
    pub sight: Sight,
    /// The epoch under which it was led last; none: never.
    pub epoch: Option<u64>,
}

impl Found {
    /// Whether clients get to this address and to no other.
    #[must_use]
    pub fn leads_to(&self, to: IpAddr) -> bool {
        self.sight.leads_to(to)
    }
}

/// Leads clients to an address, unless somebody with a later epoch has led them.
///
/// Whoever drops the future doesn't know what came of it; leading again under the same epoch tells.
///
/// # Errors
///
/// The epoch is superseded, or the server can't be reached, refuses, or is changed all the time.
pub async fn lead(zone: &impl Zone, to: IpAddr, epoch: u64) -> Result<Led, RedirectError> {
    let mut first: Option<Sight> = None;
    let mut refused: Option<Sight> = None;
    let mut is_unsure = false;
    let mut busy = BUSY_FIRST;
    let mut said = String::new();
    let contended = |attempts, said| RedirectError::Contended {
        record: zone.record().to_string(),
        attempts,
        said,
    };
    for attempts in 1..=ATTEMPTS_MAX {
        let sight = zone.read().await?;
        let before = first.get_or_insert_with(|| sight.clone());
        let led = |spread| Led {
            spread,
            before: before.addresses().map(str::to_owned).collect(),
            attempts,
        };
        let change = match decide(zone.record(), &sight, to, epoch, zone.ttl_s())? {
            Decision::Already => return Ok(led(None)),
            Decision::Write(change) => change,
        };
        match zone.write(&change).await {
            Ok(Written::Done(spread)) => return Ok(led(Some(spread))),
            // Refused twice with the same before it: that is no race.
            Ok(Written::Raced(why)) if refused.as_ref() == Some(&sight) => {
                return Err(contended(attempts, why));
            }
            Ok(Written::Raced(why)) => {
                refused = Some(sight);
                said = why;
            }
            Ok(Written::Busy(why)) => {
                said = why;
                tokio::time::sleep(busy).await;
                busy = (busy * 2).min(BUSY_MAX);
            }
            // Reading tells whether it took place, and writing again does no harm.
            Err(RedirectError::Cut { server, source }) if !is_unsure => {
                is_unsure = true;
                said = format!("{server} did not answer whole: {source}");
            }
            Err(error) => return Err(error),
        }
    }
    Err(contended(ATTEMPTS_MAX, said))
}

/// Where clients are led, and whether a change would be permitted.
///
/// # Errors
///
/// It can't be read, isn't what could be led, or a change would be refused.
pub async fn check(zone: &impl Zone) -> Result<Found, RedirectError> {
    let mut busy = BUSY_FIRST;
    let mut said = String::new();
    for _ in 1..=ATTEMPTS_MAX {
        let sight = zone.read().await?;
        let epoch = sight.epoch(zone.record())?;
        match zone.probe(&sight).await? {
            Written::Done(_) => return Ok(Found { sight, epoch }),
            Written::Raced(why) => said = why,
            Written::Busy(why) => {
                said = why;
                tokio::time::sleep(busy).await;
                busy = (busy * 2).min(BUSY_MAX);
            }
        }
    }
    Err(RedirectError::Contended {
        record: zone.record().to_string(),
        attempts: ATTEMPTS_MAX,
        said,
    })
}

#[cfg(test)]
#[path = "lead_tests.rs"]
mod tests;
