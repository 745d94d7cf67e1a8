//! Who follows, and who takes nothing of what is handed out.
//!
//! A plan is worked out when the connection can take it, and never queued: what waits for a node
//! that does not read is bounded by its connection's window. One that takes nothing for a while is
//! hung up on, and one that comes again takes the place of its earlier self.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_core::name::NodeName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::session::Session;

/// How long a node may take to take what is handed to it.
pub(super) const TAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// So many whole plans are in the hands of connections at a time: those of a large mesh are large.
const WHOLE_PLANS_MAX: usize = 32;
/// After so long, a whole plan that is not taken yet holds nobody else up.
const WHOLE_PLAN_TURN: Duration = Duration::from_secs(1);
/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Everybody who follows.
#[derive(Debug, Clone)]
pub struct Followers {
    places: Arc<Mutex<HashMap<NodeName, Arc<Place>>>>,
    whole_plans: Arc<Semaphore>,
}

/// A follower's place, given back when dropped.
#[derive(Debug)]
pub(super) struct FollowerPlace {
    followers: Followers,
    node: NodeName,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    session: Option<Session>,
    superseded: CancellationToken,
    handed_out: Mutex<Option<HandedOut>>,
}

/// What a connection has and has not taken yet.
#[derive(Debug)]
struct HandedOut {
    since: Instant,
    turn: Option<OwnedSemaphorePermit>,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            places: Arc::default(),
            whole_plans: Arc::new(Semaphore::new(WHOLE_PLANS_MAX)),
        }
    }
}

impl Followers {
    /// Takes a follower in; an earlier stream of the same node ends.
    pub(super) fn enter(&self, node: NodeName, session: Option<Session>) -> FollowerPlace {
        let place = Arc::new(Place {
            session,
            superseded: CancellationToken::new(),
            handed_out: Mutex::default(),
        });
        let earlier = lock(&self.places).insert(node.clone(), place.clone());
        if let Some(earlier) = earlier {
            earlier.superseded.cancel();
        }
        FollowerPlace {
            followers: self.clone(),
            node,
            place,
        }
    }

    /// How many follow.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.places).len()
    }

    /// Hangs up on those who take nothing, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            self.look(Instant::now());
        }
    }

    fn look(&self, now: Instant) {
        for (node, place) in lock(&self.places).iter() {
            let mut handed_out = lock(&place.handed_out);
            let Some(out) = handed_out.as_mut() else {
                continue;
            };
            let waited = now.saturating_duration_since(out.since);
            if waited >= WHOLE_PLAN_TURN {
                out.turn = None;
            }
            if waited >= TAKE_TIMEOUT {
                tracing::info!(%node, "a follower takes nothing and is cut off");
                place.superseded.cancel();
                if let Some(session) = &place.session {
                    session.cut();
                }
            }
        }
    }
}

impl FollowerPlace {
    /// Waits for its turn to have a whole plan.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.followers
            .whole_plans
            .clone()
            .acquire_owned()
            .await
            .ok()
    }

    /// The connection has what was worked out for it.
    pub(super) fn hand_out(&self, turn: Option<OwnedSemaphorePermit>) {
        let since = Instant::now();
        *lock(&self.place.handed_out) = Some(HandedOut { since, turn });
    }

    /// The connection has taken it, and asks for more.
    pub(super) fn taken(&self) {
        *lock(&self.place.handed_out) = None;
    }

    /// Waits until another stream of the same node has taken this place, or it was cut off.
    pub(super) async fn superseded(&self) {
        self.place.superseded.cancelled().await;
    }
}

impl Drop for FollowerPlace {
    fn drop(&mut self) {
        let mut places = lock(&self.followers.places);
        if places
            .get(&self.node)
            .is_some_and(|place| Arc::ptr_eq(place, &self.place))
        {
            places.remove(&self.node);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_node_that_comes_again_ends_its_earlier_stream() {
        let followers = Followers::default();
        let earlier = followers.enter(node("a"), None);
        let other = followers.enter(node("b"), None);
        let later = followers.enter(node("a"), None);
        earlier.superseded().await;
        assert!(!later.place.superseded.is_cancelled());
        assert!(!other.place.superseded.is_cancelled());
        drop(earlier);
        assert_eq!(followers.count(), 2, "the later one keeps its place");
    }

    #[tokio::test]
    async fn those_who_take_nothing_hold_up_nobody_else_and_are_cut_off() {
        let followers = Followers::default();
        let slow: Vec<FollowerPlace> = (0..WHOLE_PLANS_MAX)
            .map(|number| followers.enter(node(&format!("slow-{number}")), None))
            .collect();
        for place in &slow {
            place.hand_out(place.turn().await);
        }
        let quick = followers.enter(node("quick"), None);
        assert!(followers.whole_plans.available_permits() == 0);
        followers.look(Instant::now() + WHOLE_PLAN_TURN);
        quick.hand_out(quick.turn().await);
        quick.taken();
        followers.look(Instant::now() + TAKE_TIMEOUT);
        assert!(
            slow.iter()
                .all(|place| place.place.superseded.is_cancelled())
        );
        assert!(!quick.place.superseded.is_cancelled());
    }
}
