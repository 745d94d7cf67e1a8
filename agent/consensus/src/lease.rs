//! Leases, as this voter grants and renews them while it leads. The rules are `hanse-core`'s; here
//! are the majority that each of them needs, and the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hanse_core::command::{PlanRequest, Request};
use hanse_core::dr::change::PlanChange;
use hanse_core::dr::sight::LeaseSight;
use hanse_core::lease::{LeaseBook, LeaseError, LeaseRequest};
use hanse_core::name::{LeaseName, NodeName, PlanName};
use hanse_core::state::FederationState;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, Instant as _};

use crate::proposer::leads_in;
use crate::replica::{Committed, ProposeError, Replica};

/// Why there is no lease.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoLease {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] LeaseError),
    /// It is not known, or another voter must be asked.
    #[error(transparent)]
    Unknown(#[from] ProposeError),
}

/// What a voter remembers of renewals, and by which clock.
pub(crate) struct Ledger<R: AsyncRuntime> {
    origin: R::Instant,
    book: Arc<Mutex<LeaseBook>>,
}

impl<R: AsyncRuntime> Ledger<R> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            origin: R::Instant::now(),
            book: Arc::default(),
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, LeaseBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: AsyncRuntime> Clone for Ledger<R> {
    fn clone(&self) -> Self {
        Self {
            origin: self.origin,
            book: self.book.clone(),
        }
    }
}

impl<R: AsyncRuntime> Replica<R> {
    /// Renews a lease and yields how long it lasts, counted from before the holder asked.
    pub async fn renew_lease(
        &self,
        lease: &LeaseName,
        holder: &NodeName,
        epoch: u64,
    ) -> Result<Duration, NoLease> {
        let (term, state) = self.confirmed_term().await?;
        let held = state.leases().get(lease);
        let ledger = self.ledger();
        let mut book = ledger.lock();
        // Under the lock: what is answered later is noted later.
        let now = (term, ledger.now());
        Ok(book.renew((lease, epoch), held, holder, now)?)
    }

    /// Grants a lease that nobody holds, or whose holder must have noticed that it ended. Its epoch
    /// is the revision, and it is counted from before the holder asked.
    pub async fn grant_lease(
        &self,
        request_id: String,
        lease: &LeaseName,
        holder: &NodeName,
        ttl: Duration,
    ) -> Result<Committed, NoLease> {
        let (term, state) = self.confirmed_term().await?;
        let ended_epoch = match state.committed_at(&request_id) {
            // Asked again: what was decided stands.
            Some(_) => None,
            None => {
                let ledger = self.ledger();
                let now = (term, ledger.now());
                ledger.lock().take(lease, state.leases().get(lease), now)?
            }
        };
        let request = Request::Lease(LeaseRequest::Grant {
            lease: lease.clone(),
            holder: holder.clone(),
            ttl,
            ended_epoch,
        });
        // That it was not renewed is true in this term alone.
        let committed = self.propose_in(Some(term), request_id, request).await?;
        let epoch = committed.revision;
        if committed.is_new {
            let ledger = self.ledger();
            let mut book = ledger.lock();
            book.granted(lease.clone(), epoch, (term, ledger.now()));
        } else {
            // It was granted before, and may have ended since: what counts is whether it stands.
            self.renew_lease(lease, holder, epoch).await?;
        }
        Ok(committed)
    }

    /// Gives a lease back, from its holder. Whoever comes next waits for nothing.
    pub async fn release_lease(
        &self,
        request_id: String,
        lease: &LeaseName,
        holder: &NodeName,
        epoch: u64,
    ) -> Result<Committed, NoLease> {
        let request = Request::Lease(LeaseRequest::Release {
            lease: lease.clone(),
            holder: holder.clone(),
            epoch,
        });
        Ok(self.propose(request_id, request).await?)
    }

    /// Who has a plan's lease, as this voter sees it while it believes that it leads, beside the state
    /// as it has that: enough to decide by, since what is decided is committed in this term or not at
    /// all. None: it doesn't lead, or began to just now.
    #[must_use]
    pub fn lease_glance(&self, plan: &PlanName) -> Option<(Arc<FederationState>, LeaseSight)> {
        let term = self.leads_in()?;
        let state = self.read();
        if self.ledger().lock().term() != term {
            return None;
        }
        let lease = LeaseName::from(plan);
        let sight = match state.leases().get(&lease) {
            None => LeaseSight::Free,
            Some(held) => {
                let ledger = self.ledger();
                let mut book = ledger.lock();
                let now = (term, ledger.now());
                LeaseSight::Held {
                    holder: held.holder.clone(),
                    epoch: held.epoch,
                    silent_for: book.silent_for(&lease, held, now),
                    has_ended: book.has_ended(&lease, held, now),
                }
            }
        };
        Some((state, sight))
    }

    /// Commits what was decided of a plan, in this term or not at all. With a promotion the lease
    /// goes to another: only if its holder must have noticed that it ended, or somebody made sure.
    pub async fn change_plan(
        &self,
        request_id: String,
        mut request: PlanRequest,
    ) -> Result<Committed, NoLease> {
        let (term, state) = self.confirmed_term().await?;
        let lease = LeaseName::from(&request.plan);
        let is_promotion = matches!(request.change, PlanChange::Promoted { .. });
        if let Some(held) = state.leases().get(&lease).filter(|_| is_promotion) {
            let record = state.plans().get(&request.plan);
            let run = record.and_then(|record| record.run.as_ref());
            let ledger = self.ledger();
            let mut book = ledger.lock();
            if run.is_some_and(|run| run.fence_confirmed) {
                book.bar(&lease, held);
            } else {
                book.take(&lease, Some(held), (term, ledger.now()))?;
            }
            request.ended_epoch = Some(held.epoch);
        }
        let request = Request::Plan(request);
        // What was seen was seen in this term alone.
        let committed = self.propose_in(Some(term), request_id, request).await?;
        if is_promotion && committed.is_new {
            let ledger = self.ledger();
            let mut book = ledger.lock();
            book.granted(lease, committed.revision, (term, ledger.now()));
        }
        Ok(committed)
    }

    /// Begins to count whenever this voter begins to lead, lest the first who needs a lease waits.
    pub(crate) async fn keep_ledger(self) {
        let mut metrics = self.raft().server_metrics();
        let mut counted = 0;
        loop {
            if self.leads_in().is_some_and(|term| term > counted)
                && let Ok((term, _)) = self.confirmed_term().await
            {
                counted = term;
                continue;
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// The state, once a majority confirmed that this voter leads, and the term in which it does.
    async fn confirmed_term(&self) -> Result<(u64, Arc<FederationState>), ProposeError> {
        let before = self.leads_in();
        let state = self.confirmed().await?;
        // Another term may have begun meanwhile, and which of them was confirmed is unknown.
        let term = before.filter(|_| self.leads_in() == before);
        let term = term.ok_or_else(|| ProposeError::NotLeader(self.leader()))?;
        let ledger = self.ledger();
        // A majority has the first entry of the term: it was committed by now.
        let mut book = ledger.lock();
        book.begin(term, ledger.now(), state.revision());
        drop(book);
        Ok((term, state))
    }

    /// The term in which this voter believes that it leads.
    fn leads_in(&self) -> Option<u64> {
        leads_in(self.raft())
    }
}
