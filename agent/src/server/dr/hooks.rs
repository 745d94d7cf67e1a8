//! Tells others of DR plans. Every voter keeps a queue for each hook on its own disk and sends what is
//! in it; only the one that leads adds to it. A new leader adds again what happened lately, under the
//! same ids: receivers get each event at least once, and tell doubles by its id.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hanse_client::proto;
use hanse_core::command;
use hanse_core::dr::change::PlanChange;
use hanse_core::history::Happened;
use hanse_core::name::{HookName, PlanName};
use hanse_core::object::dr_redirect::{self, HookEvent};
use hanse_core::secret::Purpose;
use hanse_core::state::FederationState;
use hanse_redirect::Clock;
use hanse_redirect::hook::{Backoff, Bounds, Event, Hook, HookConfig, HookSecret, Queue};
use tokio::task::JoinHandle;

use super::super::voter::Voter;
use super::ways;

/// What a new leader tells again: a majority elects one, and reads the state, well within it.
const LATELY_S: u64 = 600;
/// How often what could not be done is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Something that is refused, or held until somebody acts.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) plan: PlanName,
    /// The same whenever it is the same refusal.
    pub(super) id: String,
    pub(super) reason: String,
}

/// One hook's queue on this voter.
pub(super) struct Line {
    declared: dr_redirect::Hook,
    queue: Queue,
    /// Who sends, or why nobody does.
    sender: Result<JoinHandle<()>, String>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({:?})", self.queue.tally())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

impl Line {
    fn end(&self) {
        if let Ok(sender) = &self.sender {
            sender.abort();
        }
    }
}

/// All hooks of this voter.
pub(super) type Lines = BTreeMap<(PlanName, HookName), Line>;

/// Keeps queues and senders as plans declare them, until the voter's `stop`.
pub(in super::super) async fn tell(voter: Arc<Voter>, folder: PathBuf) {
    let mut changes = voter.replica.changes();
    let mut told_until = None;
    loop {
        let state = changes.borrow_and_update().clone();
        settle(&voter, &state, &folder).await;
        if voter.is_leader() {
            let from = told_until.unwrap_or_else(|| lately(&voter, &state));
            told_until = Some(tell_since(&voter, &state, from).await);
        } else {
            told_until = None;
        }
        tokio::select! {
            () = voter.stop.cancelled() => {
                voter.desk.lines().clear();
                return;
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = voter.desk.refusals.notified() => {}
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

/// How the hooks of a plan are, as this voter has them.
pub(super) fn show(lines: &Lines, plan: &PlanName) -> Vec<proto::HookView> {
    let own = lines.iter().filter(|((of, _), _)| of == plan);
    own.map(|((_, name), line)| {
        let tally = line.queue.tally();
        proto::HookView {
            name: name.to_string(),
            waiting: tally.waiting as u64,
            oldest_unix_s: tally.oldest_unix_s.unwrap_or_default(),
            given_up: tally.refused + tally.expired + tally.dropped + tally.damaged,
            trouble: line.sender.as_ref().err().cloned().unwrap_or_default(),
        }
    })
    .collect()
}

/// Opens and closes queues, and sends what is in them.
async fn settle(voter: &Arc<Voter>, state: &FederationState, folder: &std::path::Path) {
    let plans = &state.inventory().dr_plans;
    let declared = |plan: &PlanName, name: &HookName| {
        let spec = &plans.get(plan)?.spec;
        spec.hooks.get(name).cloned()
    };
    let keys: Vec<_> = voter.desk.lines().keys().cloned().collect();
    for (plan, name) in keys {
        if declared(&plan, &name).is_none() {
            voter.desk.lines().remove(&(plan.clone(), name.clone()));
            // What waits for a hook that is declared no more is for nobody.
            let gone = folder.join(plan.as_str()).join(name.as_str());
            if let Err(error) = fs::remove_dir_all(&gone) {
                tracing::warn!(folder = %gone.display(), %error, "unable to remove the queue of a hook");
            }
        }
    }
    for (plan, stored) in plans {
        for (name, hook) in &stored.spec.hooks {
            let key = (plan.clone(), name.clone());
            let (queue, is_settled) = match voter.desk.lines().get(&key) {
                Some(line) => {
                    let is_sent = line.sender.is_ok() && line.declared == *hook;
                    (Some(line.queue.clone()), is_sent)
                }
                None => (None, false),
            };
            if is_settled {
                continue;
            }
            let queue = match queue {
                Some(queue) => queue,
                None => {
                    let path = folder.join(plan.as_str()).join(name.as_str());
                    let opened = fs::create_dir_all(&path).map_err(|error| error.to_string());
                    let opened = match opened {
                        Ok(()) => Queue::open(&path, Bounds::default(), clock(voter)).await,
                        Err(error) => {
                            tracing::error!(%plan, hook = %name, error, "unable to keep events of a hook");
                            continue;
                        }
                    };
                    match opened {
                        Ok(queue) => queue,
                        Err(error) => {
                            tracing::error!(%plan, hook = %name, %error, "unable to keep events of a hook");
                            continue;
                        }
                    }
                }
            };
            let sender = sender(voter, state, (plan, name, hook), &queue);
            if let Err(reason) = &sender {
                tracing::debug!(%plan, hook = %name, reason, "nobody is told by this hook");
            }
            let line = Line {
                declared: hook.clone(),
                queue,
                sender,
            };
            voter.desk.lines().insert(key, line);
        }
    }
}

fn sender(
    voter: &Arc<Voter>,
    state: &FederationState,
    (plan, name, hook): (&PlanName, &HookName, &dr_redirect::Hook),
    queue: &Queue,
) -> Result<JoinHandle<()>, String> {
    let secret = hanse_core::secret::PlanSecret {
        plan: plan.clone(),
        purpose: Purpose::Hook(name.clone()),
        version: hook.secret_version,
    };
    let secret = voter.open_plan_secret(state, secret)?;
    let said = |error: hanse_redirect::ConfigError| error.to_string();
    let config = HookConfig {
        name: format!("{plan}/{name}"),
        url: hook.url.parse().map_err(said)?,
        secret: HookSecret::try_new(secret).map_err(said)?,
        timeout: TIMEOUT,
        backoff: Backoff::default(),
    };
    let http = ways::http().map_err(said)?;
    let hook = Hook::new(config, queue.clone(), http, clock(voter));
    Ok(tokio::spawn(async move { hook.run().await }))
}

/// From where on a leader that is new tells what happened.
fn lately(voter: &Voter, state: &FederationState) -> u64 {
    let now_unix_s = voter.now_unix_s();
    let mut recent = state.history().since(0);
    let first = recent.find(|it| it.at_unix_s.saturating_add(LATELY_S) >= now_unix_s);
    first.map_or(state.revision() + 1, |first| first.revision)
}

/// Adds what happened at a revision and after it to the queues; yields the next to tell.
async fn tell_since(voter: &Voter, state: &FederationState, from: u64) -> u64 {
    let mut events: Vec<_> = state.history().since(from).filter_map(event).collect();
    let refusals = std::mem::take(&mut voter.desk.lock().refused);
    let now_unix_s = voter.now_unix_s();
    events.extend(refusals.into_iter().map(|refused| {
        let event = Event {
            id: refused.id,
            kind: format!("dr-plan.{}", HookEvent::Refused),
            at_unix_s: now_unix_s,
            data: serde_json::json!({ "plan": refused.plan, "reason": refused.reason }),
        };
        (refused.plan, HookEvent::Refused, event)
    }));
    for (plan, kind, event) in events {
        let lines: Vec<_> = {
            let lines = voter.desk.lines();
            let own = lines
                .iter()
                .filter(|((of, _), line)| *of == plan && line.declared.hears(kind));
            own.map(|(_, line)| line.queue.clone()).collect()
        };
        for queue in lines {
            let mut event = event.clone();
            if let Some(data) = event.data.as_object_mut() {
                data.insert("federation".into(), voter.federation().to_string().into());
            }
            if let Err(error) = queue.push(event).await {
                tracing::error!(%plan, %error, "an event was not kept for a hook");
            }
        }
    }
    state.revision() + 1
}

/// What others are told of something that happened; none: nothing.
fn event(happened: &Happened) -> Option<(PlanName, HookEvent, Event)> {
    let command::Event::Plan { plan, change } = &happened.event else {
        return None;
    };
    let kind = match change {
        PlanChange::Begun { .. } => HookEvent::Begun,
        PlanChange::Promoted { .. } => HookEvent::Promoted,
        PlanChange::Ended { .. } => HookEvent::Ended,
        PlanChange::Placed { .. }
        | PlanChange::Unplaced { .. }
        | PlanChange::Whole { .. }
        | PlanChange::Insisted { .. }
        | PlanChange::Fencing { .. }
        | PlanChange::Stopped { .. }
        | PlanChange::Writes
        | PlanChange::Marked { .. }
        | PlanChange::Set { .. }
        | PlanChange::DrillBegun { .. }
        | PlanChange::DrillEnded { .. }
        | PlanChange::Fences(_)
        | PlanChange::Paused(_)
        | PlanChange::FencedConfirmed { .. } => return None,
    };
    let event = Event {
        id: format!("{plan}/{}", happened.revision),
        kind: format!("dr-plan.{kind}"),
        at_unix_s: happened.at_unix_s,
        data: serde_json::json!({
            "plan": plan,
            "revision": happened.revision,
            "sentence": happened.event.telling().sentence,
        }),
    };
    Some((plan.clone(), kind, event))
}

fn clock(voter: &Voter) -> Clock {
    let clock = voter.clock.clone();
    Clock::new(move || clock.now_unix_s())
}
