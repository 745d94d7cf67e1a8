//! Open connections, each judged again whenever what it rests on may have changed.
//!
//! A connection may outlive the certificate that opened it, and the node or user that it names. So
//! whoever is at the other end has a standing that is judged anew with every commit that takes
//! something from anybody, and with the clock. What follows from a change is
//! [`super::guard`]'s and the connection's: no call looks after it by itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hanse_core::name::NodeName;
use hanse_core::state::FederationState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::caller::{Caller, Standing};
use crate::clock::FederationClock;

/// How often the clock is looked at: so much later than its certificate a stream may end.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Connections of one node: it needs one, has another for a moment now and then, and leaves some
/// behind that nobody has told to be dead. The oldest give way.
const CONNECTIONS_OF_NODE_MAX: usize = 8;

/// Every open connection.
#[derive(Debug, Clone)]
pub struct Sessions {
    clock: Arc<FederationClock>,
    state: watch::Receiver<Arc<FederationState>>,
    open: Arc<Mutex<Open>>,
}

/// Who is at the other end of one connection, for its calls.
#[derive(Debug, Clone)]
pub struct Session {
    caller: Caller,
    standing: watch::Receiver<Standing>,
    cut: CancellationToken,
}

/// A connection's place among the open ones, given back when dropped.
pub struct Seat {
    open: Arc<Mutex<Open>>,
    number: u64,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    seats: HashMap<u64, (Caller, watch::Sender<Standing>)>,
    of_nodes: HashMap<NodeName, BTreeMap<u64, CancellationToken>>,
}

impl Sessions {
    /// No connection yet; who may what is read from `state`.
    #[must_use]
    pub fn new(state: watch::Receiver<Arc<FederationState>>, clock: Arc<FederationClock>) -> Self {
        Self {
            clock,
            state,
            open: Arc::default(),
        }
    }

    /// Takes a connection in.
    #[must_use]
    pub fn open(&self, caller: Caller) -> (Session, Seat) {
        let mut open = lock(&self.open);
        // Under the lock, lest a revocation fall between the judgement and the seat.
        let judged = self.judge(&caller);
        let (sender, standing) = watch::channel(judged);
        let number = open.next;
        open.next += 1;
        open.seats.insert(number, (caller.clone(), sender));
        let seat = Seat {
            open: self.open.clone(),
            number,
        };
        let cut = CancellationToken::new();
        // Somebody whose certificate counts no more takes nothing from whoever has the name now.
        if let (Standing::Node | Standing::ExpiredNode, Some((node, _))) = (judged, caller.node()) {
            let own = open.of_nodes.entry(node.clone()).or_default();
            own.insert(number, cut.clone());
            if own.len() > CONNECTIONS_OF_NODE_MAX
                && let Some((_, oldest)) = own.pop_first()
            {
                oldest.cancel();
            }
        }
        (
            Session {
                caller,
                standing,
                cut,
            },
            seat,
        )
    }

    /// What a caller may act as at this moment.
    #[must_use]
    pub fn judge(&self, caller: &Caller) -> Standing {
        caller.standing(&self.state.borrow(), self.clock.now_unix_s())
    }

    /// Judges all connections again and again until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut clock = tokio::time::interval(CLOCK_INTERVAL);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let withdrawn = |state: &FederationState| state.identities().withdrawn_revision();
        let mut judged = withdrawn(&self.state.borrow_and_update());
        loop {
            let is_due = tokio::select! {
                () = stop.cancelled() => return,
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    withdrawn(&self.state.borrow_and_update()) != judged
                }
                _ = clock.tick() => true,
            };
            if is_due {
                judged = withdrawn(&self.state.borrow());
                self.judge_all();
            }
        }
    }

    fn judge_all(&self) {
        let open = lock(&self.open);
        for (caller, standing) in open.seats.values() {
            let now = self.judge(caller);
            standing.send_if_modified(|before| std::mem::replace(before, now) != now);
        }
    }
}

impl Session {
    /// Who is at the other end.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What they could act as when it was judged last.
    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Waits until the standing is another than it is now, and yields it. For ever, once the
    /// connection is gone.
    pub fn changed(&self) -> impl Future<Output = Standing> + Send + use<> {
        let before = self.standing();
        until(self.standing.clone(), move |standing| standing != before)
    }

    /// Hangs up.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until somebody hangs up.
    pub fn is_cut(&self) -> impl Future<Output = ()> + Send + use<> {
        self.cut.clone().cancelled_owned()
    }

    /// Waits until the caller may do nothing any more.
    pub fn refused(&self) -> impl Future<Output = Standing> + Send + use<> {
        until(self.standing.clone(), |standing| {
            matches!(standing, Standing::Refused(_))
        })
    }
}

async fn until(
    mut standing: watch::Receiver<Standing>,
    is_reached: impl Fn(Standing) -> bool + Send,
) -> Standing {
    let reached = standing.wait_for(|standing| is_reached(*standing)).await;
    match reached.map(|reached| *reached) {
        Ok(reached) => reached,
        Err(_) => std::future::pending().await,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        let Some((caller, _)) = open.seats.remove(&self.number) else {
            return;
        };
        if let Some((node, _)) = caller.node()
            && let Some(own) = open.of_nodes.get_mut(node)
        {
            own.remove(&self.number);
            if own.is_empty() {
                open.of_nodes.remove(node);
            }
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.number)
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
