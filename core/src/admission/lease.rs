//! Whether a lease may change so. Whether a holder must have noticed that it ended is known to the
//! leader alone: see [`crate::lease::LeaseBook`].

use super::{Refusal, RefusalKind};
use crate::finding::Path;
use crate::lease::{LeaseChange, LeaseError, LeaseRequest, Leases, TTL_MAX, TTL_MIN};

/// Decides on a request; none: it would change nothing.
pub(super) fn admit(
    leases: &Leases,
    request: LeaseRequest,
) -> Result<Option<LeaseChange>, Refusal> {
    match request {
        LeaseRequest::Grant {
            lease,
            holder,
            ttl,
            ended_epoch,
        } => {
            if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
                let detail = format!("A lease lasts from {TTL_MIN:?} to {TTL_MAX:?}, not {ttl:?}.");
                let kind = RefusalKind::Invalid;
                return Err(Refusal::one(
                    kind,
                    Path::of("lease_ttl"),
                    "Invalid time",
                    detail,
                ));
            }
            let held = leases.get(&lease);
            if held.map(|held| held.epoch) == ended_epoch {
                let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                return Ok(Some(LeaseChange::Granted {
                    lease,
                    holder,
                    ttl_ms,
                }));
            }
            let Some(held) = held else {
                let detail = format!("The lease `{lease}` was released meanwhile. Try again.");
                let kind = RefusalKind::Conflict;
                return Err(Refusal::one(kind, Path::root(), "Overtaken", detail));
            };
            let holder = held.holder.clone();
            let detail = format!("{}.", LeaseError::Held { lease, holder });
            let kind = RefusalKind::Conflict;
            Err(Refusal::one(kind, Path::root(), "Held", detail))
        }
        LeaseRequest::Release {
            lease,
            holder,
            epoch,
        } => {
            let held = leases.get(&lease);
            let is_own = held.is_some_and(|held| held.holder == holder && held.epoch == epoch);
            Ok(is_own.then_some(LeaseChange::Released { lease }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::{Batch, Command, Entry, Outcome, Request};
    use crate::testing::Builder;

    fn grant(
        federation: &mut Builder,
        holder: &str,
        ended_epoch: Option<u64>,
    ) -> Result<u64, Refusal> {
        let lease = "orders".parse().unwrap();
        federation.ask(Request::Lease(LeaseRequest::Grant {
            lease,
            holder: holder.parse().unwrap(),
            ttl: Duration::from_secs(10),
            ended_epoch,
        }))?;
        Ok(federation.state.revision())
    }

    fn release(federation: &mut Builder, holder: &str, epoch: u64) {
        let request = LeaseRequest::Release {
            lease: "orders".parse().unwrap(),
            holder: holder.parse().unwrap(),
            epoch,
        };
        federation.ask(Request::Lease(request)).unwrap();
    }

    fn holder(federation: &Builder) -> Option<(String, u64)> {
        let held = federation.state.leases().get(&"orders".parse().unwrap())?;
        Some((held.holder.to_string(), held.epoch))
    }

    #[test]
    fn a_lease_goes_to_another_only_when_the_very_one_that_is_held_is_known_to_have_ended() {
        let mut federation = Builder::new();
        let first = grant(&mut federation, "a", None).unwrap();
        for wrong in [None, Some(first + 1)] {
            let refused = grant(&mut federation, "b", wrong).unwrap_err();
            assert!(refused.findings[0].detail.contains("held by `a`"));
        }
        let second = grant(&mut federation, "b", Some(first)).unwrap();
        assert!(second > first);
        assert_eq!(holder(&federation), Some(("b".to_owned(), second)));
    }

    #[test]
    fn what_rests_on_another_term_does_nothing() {
        let mut federation = Builder::new();
        let batch = |term| Batch {
            base_revision: federation.state.revision(),
            entries: vec![Entry {
                request_id: "grant".to_owned(),
                at_unix_s: 0,
                command: Command::Lease(LeaseChange::Granted {
                    lease: "orders".parse().unwrap(),
                    holder: "a".parse().unwrap(),
                    ttl_ms: 10_000,
                }),
            }],
            decided_in_term: term,
        };
        let (of_three, of_any) = (batch(Some(3)), batch(None));
        let outcome = federation.state.clone().apply_batch(&of_three, 4);
        assert!(matches!(outcome, Outcome::Stale { .. }), "{outcome:?}");
        for (batch, term) in [(&of_three, 3), (&of_any, 4)] {
            let outcome = federation.state.clone().apply_batch(batch, term);
            assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        }
        federation.state.apply_batch(&of_three, 3);
        assert!(holder(&federation).is_some());
    }

    #[test]
    fn only_its_holder_releases_a_lease() {
        let mut federation = Builder::new();
        let epoch = grant(&mut federation, "a", None).unwrap();
        release(&mut federation, "b", epoch);
        release(&mut federation, "a", epoch + 1);
        assert!(holder(&federation).is_some());
        release(&mut federation, "a", epoch);
        assert_eq!(holder(&federation), None);
        grant(&mut federation, "b", Some(epoch)).unwrap_err();
        grant(&mut federation, "b", None).unwrap();
    }

    #[test]
    fn a_lease_of_no_time_or_of_days_is_refused() {
        for ttl in [Duration::ZERO, Duration::from_secs(86_400)] {
            let request = LeaseRequest::Grant {
                lease: "orders".parse().unwrap(),
                holder: "a".parse().unwrap(),
                ttl,
                ended_epoch: None,
            };
            let refused = Builder::new().ask(Request::Lease(request)).unwrap_err();
            assert_eq!(refused.kind, RefusalKind::Invalid);
        }
    }
}
