//! Leases: at any moment at most one holder of a thing believes that it holds it.
//!
//! Who holds is replicated; how long ago the holder was heard is the leader's memory alone. The
//! holder counts from before it asked, by its own clock. The leader takes a lease for ended only
//! when the holder must have noticed: a term of the lease, and what clocks may drift apart in it,
//! after the latest answer that any leader can have given. A new leader doesn't know what the one
//! before answered, and counts from when its own first entry was committed: the one before answered
//! nothing after that, since each answer needs a majority that is asked after the question came
//! (Gray and Cheriton, "Leases", 1989; Raft dissertation, section 6.4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{LeaseName, NodeName};

/// The shortest and the longest time that a lease lasts without being renewed.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// See [`TTL_MIN`].
pub const TTL_MAX: Duration = Duration::from_secs(3600);
/// One in so many: how far two clocks may drift apart while a lease lasts. Clocks that drift by one
/// in a thousand are broken; this is ten times that.
const DRIFT_SHARE: u32 = 100;

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The node.
    pub holder: NodeName,
    /// The revision at which it was granted: another one each time, and a later one.
    pub epoch: u64,
    /// How long it lasts without being renewed, in milliseconds.
    pub ttl_ms: u64,
    /// The longest that it lasted since it was granted, if that is longer: its holder may have been
    /// answered so. 0: it never was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ttl_max_ms: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What somebody wants of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseRequest {
    /// To hold it.
    Grant {
        /// Which one.
        lease: LeaseName,
        /// Who.
        holder: NodeName,
        /// How long it lasts without being renewed.
        ttl: Duration,
        /// The epoch of the lease that the leader knows to have ended; none: nobody held it.
        ended_epoch: Option<u64>,
    },
    /// To hold it no more; the holder has stopped whatever it did under it.
    Release {
        /// Which one.
        lease: LeaseName,
        /// Who held it.
        holder: NodeName,
        /// Its epoch.
        epoch: u64,
    },
}

/// What was decided of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseChange {
    /// Somebody holds it.
    Granted {
        /// Which one.
        lease: LeaseName,
        /// Who.
        holder: NodeName,
        /// How long it lasts without being renewed, in milliseconds.
        ttl_ms: u64,
    },
    /// Nobody holds it.
    Released {
        /// Which one.
        lease: LeaseName,
    },
}

/// Why a lease is not renewed or not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it, or had it until a moment ago.
    #[error("the lease `{lease}` is held by `{holder}` and has not ended yet")]
    Held {
        /// Which one.
        lease: LeaseName,
        /// By whom.
        holder: NodeName,
    },
    /// The caller does not hold it any more.
    #[error("the lease `{0}` is another's, or ended: stop what is done under it")]
    Lost(LeaseName),
}

impl Lease {
    /// How long it lasts without being renewed.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    /// How long after the last answer the holder must have noticed that it ended, whatever it was
    /// answered.
    #[must_use]
    pub fn ends_after(&self) -> Duration {
        ends_after(Duration::from_millis(self.ttl_ms.max(self.ttl_max_ms)))
    }
}

/// How long after the last answer the holder of a lease of that length must have noticed its end.
#[must_use]
pub fn ends_after(ttl: Duration) -> Duration {
    ttl.saturating_add(ttl / DRIFT_SHARE)
}

/// Who holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leases(BTreeMap<LeaseName, Lease>);

impl Leases {
    /// Whether nobody holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who holds a lease.
    #[must_use]
    pub fn get(&self, lease: &LeaseName) -> Option<&Lease> {
        self.0.get(lease)
    }

    /// Has a lease last so long from its next renewal on.
    pub(crate) fn set_ttl(&mut self, lease: &LeaseName, ttl_ms: u64) {
        if let Some(held) = self.0.get_mut(lease).filter(|held| held.ttl_ms != ttl_ms) {
            held.ttl_max_ms = held.ttl_max_ms.max(held.ttl_ms).max(ttl_ms);
            held.ttl_ms = ttl_ms;
        }
    }

    /// The same holders, each at that epoch: what they know of theirs renews nothing any more.
    pub(crate) fn raised(mut self, epoch: u64) -> Self {
        for lease in self.0.values_mut() {
            lease.epoch = epoch;
        }
        self
    }

    /// Puts a change in effect, at a revision.
    pub(crate) fn apply(&mut self, change: &LeaseChange, revision: u64) {
        match change {
            LeaseChange::Granted {
                lease,
                holder,
                ttl_ms,
            } => {
                let held = Lease {
                    holder: holder.clone(),
                    epoch: revision,
                    ttl_ms: *ttl_ms,
                    ttl_max_ms: 0,
                };
                self.0.insert(lease.clone(), held);
            }
            LeaseChange::Released { lease } => {
                self.0.remove(lease);
            }
        }
    }
}

/// What a leader remembers of renewals, in its present term. Moments are read off a clock of the
/// leader's that never goes back.
#[derive(Debug, Default)]
pub struct LeaseBook {
    term: u64,
    began: Duration,
    /// The revision of the state at that moment.
    began_revision: u64,
    answered: BTreeMap<(LeaseName, u64), Duration>,
    /// Leases that are being given to somebody else.
    barred: BTreeSet<(LeaseName, u64)>,
}

impl LeaseBook {
    /// Begins a term, `now` that its first entry was committed, or later, and the state at that
    /// moment has this revision. Within one term it does nothing.
    pub fn begin(&mut self, term: u64, now: Duration, revision: u64) {
        if term > self.term {
            *self = Self {
                term,
                began: now,
                began_revision: revision,
                ..Self::default()
            };
        }
    }

    /// The term that is counted.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Renews a lease: from here on it has been answered `now`. `held` is who holds it by a state
    /// that a majority confirmed in this term after the renewal arrived.
    ///
    /// # Errors
    ///
    /// It is another's, or about to be.
    pub fn renew(
        &mut self,
        (lease, epoch): (&LeaseName, u64),
        held: Option<&Lease>,
        holder: &NodeName,
        (term, now): (u64, Duration),
    ) -> Result<Duration, LeaseError> {
        let lost = || LeaseError::Lost(lease.clone());
        let held = held.filter(|held| held.epoch == epoch && held.holder == *holder);
        let held = held.ok_or_else(lost)?;
        let key = (lease.clone(), epoch);
        if term != self.term || self.barred.contains(&key) {
            return Err(lost());
        }
        let ttl = held.ttl();
        self.answered
            .retain(|(name, other), _| name != lease || *other == epoch);
        self.answered.insert(key, now);
        Ok(ttl)
    }

    /// Notes that a lease was granted, before its holder hears of it.
    pub fn granted(&mut self, lease: LeaseName, epoch: u64, (term, now): (u64, Duration)) {
        if term == self.term {
            self.answered.insert((lease, epoch), now);
        }
    }

    /// Takes a lease from its holder, if that must have noticed: from here on nobody renews it.
    /// Yields the epoch that ended; none: nobody holds it.
    ///
    /// # Errors
    ///
    /// The holder may still believe that it holds it.
    pub fn take(
        &mut self,
        lease: &LeaseName,
        held: Option<&Lease>,
        (term, now): (u64, Duration),
    ) -> Result<Option<u64>, LeaseError> {
        let Some(held) = held else {
            return Ok(None);
        };
        if !self.has_ended(lease, held, (term, now)) {
            return Err(LeaseError::Held {
                lease: lease.clone(),
                holder: held.holder.clone(),
            });
        }
        self.bar(lease, held);
        Ok(Some(held.epoch))
    }

    /// Takes a lease from a holder of whom somebody made sure that it does nothing under it any more.
    pub fn bar(&mut self, lease: &LeaseName, held: &Lease) {
        self.barred
            .retain(|(name, epoch)| name != lease || *epoch == held.epoch);
        self.barred.insert((lease.clone(), held.epoch));
    }

    /// How long ago the lease was answered or granted, or this leader began.
    pub fn silent_for(
        &mut self,
        lease: &LeaseName,
        held: &Lease,
        (_, now): (u64, Duration),
    ) -> Duration {
        now.saturating_sub(self.last_answer(lease, held, now))
    }

    /// Whether the holder must have noticed that its lease ended. It may renew it still.
    pub fn has_ended(
        &mut self,
        lease: &LeaseName,
        held: &Lease,
        (term, now): (u64, Duration),
    ) -> bool {
        let last = self.last_answer(lease, held, now);
        term == self.term && now.saturating_sub(last) > held.ends_after()
    }

    fn last_answer(&mut self, lease: &LeaseName, held: &Lease, now: Duration) -> Duration {
        let key = (lease.clone(), held.epoch);
        match self.answered.get(&key) {
            Some(answered) => *answered,
            None if held.epoch <= self.began_revision => self.began,
            // Granted in this term, and this is the first that is seen of it.
            None => *self.answered.entry(key).or_insert(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: u64 = 3;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn name() -> LeaseName {
        "orders".parse().unwrap()
    }

    fn held() -> Lease {
        Lease {
            holder: "a".parse().unwrap(),
            epoch: 7,
            ttl_ms: 10_000,
            ttl_max_ms: 0,
        }
    }

    fn renew(book: &mut LeaseBook, epoch: u64, at_s: u64) -> Result<Duration, LeaseError> {
        let holder = "a".parse().unwrap();
        let now = (TERM, seconds(at_s));
        book.renew((&name(), epoch), Some(&held()), &holder, now)
    }

    fn take(book: &mut LeaseBook, at_s: u64) -> Result<Option<u64>, LeaseError> {
        book.take(&name(), Some(&held()), (TERM, seconds(at_s)))
    }

    fn book() -> LeaseBook {
        let mut book = LeaseBook::default();
        book.begin(TERM, seconds(100), 20);
        book
    }

    #[test]
    fn a_new_leader_counts_from_its_own_beginning() {
        let mut book = book();
        take(&mut book, 110).unwrap_err();
        assert_eq!(take(&mut book, 111), Ok(Some(7)));
        book.begin(TERM, seconds(200), 30);
        assert_eq!(take(&mut book, 111), Ok(Some(7)), "the term began once");
        book.begin(TERM + 1, seconds(200), 30);
        take(&mut book, 300).unwrap_err();
    }

    #[test]
    fn a_lease_that_was_granted_in_this_term_lasts_from_then() {
        let mut book = LeaseBook::default();
        book.begin(TERM, seconds(0), 6);
        take(&mut book, 100).unwrap_err();
        take(&mut book, 110).unwrap_err();
        assert_eq!(take(&mut book, 111), Ok(Some(7)), "it was seen at 100");
        let mut book = LeaseBook::default();
        book.begin(TERM, seconds(0), 6);
        book.granted(name(), 7, (TERM, seconds(90)));
        take(&mut book, 100).unwrap_err();
        assert_eq!(take(&mut book, 101), Ok(Some(7)));
    }

    #[test]
    fn a_lease_ends_a_term_and_the_drift_after_the_last_answer() {
        let mut book = book();
        assert_eq!(renew(&mut book, 7, 105), Ok(seconds(10)));
        take(&mut book, 115).unwrap_err();
        assert_eq!(take(&mut book, 116), Ok(Some(7)));
    }

    #[test]
    fn a_lease_that_became_shorter_lasts_as_long_as_its_holder_may_have_been_told() {
        let mut leases = Leases::default();
        let granted = LeaseChange::Granted {
            lease: name(),
            holder: "a".parse().unwrap(),
            ttl_ms: 30_000,
        };
        leases.apply(&granted, 7);
        leases.set_ttl(&name(), 2_000);
        let held = leases.get(&name()).unwrap();
        assert_eq!(
            (held.ttl(), held.ends_after()),
            (seconds(2), ends_after(seconds(30)))
        );
    }

    #[test]
    fn what_is_being_taken_is_renewed_no_more() {
        let mut book = book();
        take(&mut book, 111).unwrap();
        assert_eq!(renew(&mut book, 7, 111), Err(LeaseError::Lost(name())));
    }

    #[test]
    fn only_the_holder_of_that_epoch_renews() {
        let mut book = book();
        renew(&mut book, 6, 101).unwrap_err();
        let other = "b".parse().unwrap();
        let now = (TERM, seconds(101));
        book.renew((&name(), 7), Some(&held()), &other, now)
            .unwrap_err();
        book.renew((&name(), 7), None, &"a".parse().unwrap(), now)
            .unwrap_err();
    }

    #[test]
    fn nobody_needs_to_wait_for_what_nobody_holds() {
        let mut book = book();
        assert_eq!(book.take(&name(), None, (TERM, seconds(100))), Ok(None));
    }
}
