//! Who follows, and who takes nothing of what is there for them.
//!
//! A plan is worked out when the connection can take it, and never queued: what waits for a node
//! that does not read is bounded by its connection's window. One that takes nothing for a while is
//! hung up on, and one that comes again takes the place of its earlier self.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_core::name::NodeName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::follow::Sent;
use super::plans::Frame;
use super::session::Session;

/// How long a node may take nothing of what is there for it.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// So many plans are worked out whole, or are on their way, at a time: those of a large mesh are
/// large, and after a restart everybody may need one.
const WHOLE_PLANS_MAX: usize = 64;
/// How long one counts as on its way. Nobody who takes longer holds others up.
const WHOLE_PLAN_TURN: Duration = Duration::from_millis(200);
/// How long a stream that ended after a large message may be gone on with as it was.
const PARKED_MAX: Duration = Duration::from_secs(30);
/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Everybody who follows.
#[derive(Debug, Clone)]
pub struct Followers {
    places: Arc<Mutex<HashMap<NodeName, Arc<Place>>>>,
    parked: Arc<Mutex<HashMap<NodeName, (Instant, Sent)>>>,
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
    /// The revision that was handed to the connection last.
    sent: AtomicU64,
    /// Whether it waits for its turn, and nothing is there for it yet.
    waits: AtomicBool,
    /// What it had when it was first seen to be behind, and when that was.
    behind: Mutex<Option<(u64, Instant)>>,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            places: Arc::default(),
            parked: Arc::default(),
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
            sent: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            behind: Mutex::default(),
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
    pub async fn run(self, frames: watch::Receiver<Arc<Frame>>, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            let revision = frames.borrow().revision;
            self.look(revision, Instant::now());
        }
    }

    fn look(&self, revision: u64, now: Instant) {
        lock(&self.parked).retain(|_, (at, _)| now.saturating_duration_since(*at) < PARKED_MAX);
        for (node, place) in lock(&self.places).iter() {
            if place.takes_nothing(revision, now) {
                tracing::info!(%node, "a follower takes nothing and is cut off");
                place.superseded.cancel();
                if let Some(session) = &place.session {
                    session.cut();
                }
            }
        }
    }
}

impl Place {
    /// Whether it has taken nothing for a while although a newer revision is there.
    fn takes_nothing(&self, revision: u64, now: Instant) -> bool {
        let mut behind = lock(&self.behind);
        let sent = self.sent.load(Ordering::Relaxed);
        if sent >= revision || self.waits.load(Ordering::Relaxed) {
            *behind = None;
            return false;
        }
        match *behind {
            Some((had, since)) if had == sent => {
                now.saturating_duration_since(since) >= TAKE_TIMEOUT
            }
            Some(_) | None => {
                *behind = Some((sent, now));
                false
            }
        }
    }
}

impl FollowerPlace {
    /// Waits for its turn to have a whole plan worked out.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.place.waits.store(true, Ordering::Relaxed);
        let turn = self.followers.whole_plans.clone().acquire_owned().await;
        self.place.waits.store(false, Ordering::Relaxed);
        turn.ok()
    }

    /// The connection has a revision. What is large counts as on its way for a moment.
    pub(super) fn hand_out(
        &self,
        revision: u64,
        turn: Option<OwnedSemaphorePermit>,
        is_large: bool,
    ) {
        self.place.sent.store(revision, Ordering::Relaxed);
        if let Some(turn) = turn.filter(|_| is_large) {
            tokio::spawn(async move {
                tokio::time::sleep(WHOLE_PLAN_TURN).await;
                drop(turn);
            });
        }
    }

    /// Keeps what the node has, until it goes on by another stream.
    pub(super) fn park(&self, sent: Sent) {
        lock(&self.followers.parked).insert(self.node.clone(), (Instant::now(), sent));
    }

    /// What was kept of the node's last stream, if any was.
    pub(super) fn unpark(&self) -> Option<Sent> {
        lock(&self.followers.parked)
            .remove(&self.node)
            .map(|(_, sent)| sent)
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
    async fn those_who_take_nothing_are_cut_off_and_those_who_take_something_are_not() {
        let followers = Followers::default();
        let [slow, quick, idle] =
            ["slow", "quick", "idle"].map(|name| followers.enter(node(name), None));
        for place in [&slow, &quick] {
            place.hand_out(7, None, false);
        }
        idle.hand_out(9, None, false);
        let begin = Instant::now();
        followers.look(9, begin);
        quick.hand_out(8, None, false);
        followers.look(9, begin + TAKE_TIMEOUT / 2);
        followers.look(9, begin + TAKE_TIMEOUT);
        assert!(slow.place.superseded.is_cancelled());
        assert!(
            !quick.place.superseded.is_cancelled(),
            "it is behind, and goes on"
        );
        assert!(!idle.place.superseded.is_cancelled());
        followers.look(9, begin + TAKE_TIMEOUT * 3 / 2);
        assert!(quick.place.superseded.is_cancelled(), "it goes on no more");
    }

    #[tokio::test]
    async fn whoever_is_slow_to_take_a_large_plan_holds_up_nobody_for_long() {
        let followers = Followers::default();
        let slow: Vec<FollowerPlace> = (0..WHOLE_PLANS_MAX)
            .map(|number| followers.enter(node(&format!("slow-{number}")), None))
            .collect();
        for place in &slow {
            place.hand_out(1, place.turn().await, true);
        }
        assert_eq!(followers.whole_plans.available_permits(), 0);
        let quick = followers.enter(node("quick"), None);
        assert!(quick.turn().await.is_some());
    }
}
