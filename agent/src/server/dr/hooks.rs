//! Tells others of DR plans. Every voter keeps a queue for each hook on its own disk and sends what is
//! in it; only the one that leads adds to it. A new leader adds again what happened lately, under the
//! same ids: receivers get each event at least once, and tell doubles by its id. What the disk does not take is
//! kept in memory, tried again and told of.

mod unwritten;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hanse_client::proto;
use hanse_core::command;
use hanse_core::dr::change::PlanChange;
use hanse_core::history::Happened;
use hanse_core::name::{FederationName, HookName, PlanName};
use hanse_core::object::dr_redirect::{self, HookEvent};
use hanse_core::secret::Purpose;
use hanse_core::state::FederationState;
use hanse_redirect::Clock;
use hanse_redirect::hook::{Backoff, Bounds, Event, Hook, HookConfig, HookSecret, Queue};
use tokio::task::JoinHandle;

use self::unwritten::Unwritten;
use super::super::voter::Voter;
use super::{Desk, ways};

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
    /// None: it can't be opened.
    queue: Option<Queue>,
    /// Who sends, or why nobody does.
    sender: Result<JoinHandle<()>, String>,
    /// What is to get into the queue.
    unwritten: Unwritten,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tally = self.queue.as_ref().map(Queue::tally);
        write!(f, "Line({tally:?}, {:?})", self.unwritten)
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

    /// How it is, without its name.
    fn show(&self) -> proto::HookView {
        let queue = self.queue.as_ref();
        let tally = queue.map(Queue::tally).unwrap_or_default();
        let failing = queue.and_then(Queue::failing);
        let unwritten = &self.unwritten;
        let oldest_unix_s = tally.oldest_unix_s.or(unwritten.oldest_unix_s());
        let given_up = tally.refused + tally.expired + tally.dropped + tally.damaged;
        let given_up_why = tally.given_up_last.map(|reason| reason.to_string());
        let unsent = self.sender.as_ref().err().cloned();
        let untaken = failing.as_ref().map(|it| it.why.clone());
        let trouble = unwritten.trouble().or(unsent).or(untaken);
        proto::HookView {
            name: String::new(),
            waiting: (tally.waiting + unwritten.len()) as u64,
            oldest_unix_s: oldest_unix_s.unwrap_or_default(),
            given_up: given_up + unwritten.given_up(),
            trouble: trouble.unwrap_or_default(),
            attempts: failing.as_ref().map_or(0, |it| it.attempts),
            failing_since_unix_s: failing.map_or(0, |it| it.since_unix_s),
            given_up_why: given_up_why.unwrap_or_default(),
        }
    }
}

/// All hooks of this voter.
pub(super) type Lines = BTreeMap<(PlanName, HookName), Line>;

/// Keeps queues and senders as plans declare them, until the voter's `stop`.
pub(in super::super) async fn tell(voter: Arc<Voter>, folder: PathBuf) {
    let mut changes = voter.replica.changes();
    let mut told_until = None;
    let mut shown = Vec::new();
    loop {
        let state = changes.borrow_and_update().clone();
        settle(&voter, &state, &folder).await;
        if voter.is_leader() {
            let from = told_until.unwrap_or_else(|| lately(&voter, &state));
            told_until = Some(tell_since(&voter, &state, from));
        } else {
            told_until = None;
        }
        write_down(&voter.desk).await;
        // Whoever looks on hears of a receiver that is away.
        let now: Vec<_> = voter.desk.lines().values().map(Line::show).collect();
        if shown != now {
            shown = now;
            voter.desk.bump();
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
    own.map(|((_, name), line)| proto::HookView {
        name: name.to_string(),
        ..line.show()
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
                    (line.queue.clone(), is_sent)
                }
                None => (None, false),
            };
            if is_settled {
                continue;
            }
            let opened = match queue {
                Some(queue) => Ok(queue),
                None => open(voter, &folder.join(plan.as_str()).join(name.as_str())).await,
            };
            let (queue, sender) = match opened {
                Ok(queue) => {
                    let sender = sender(voter, state, (plan, name, hook), &queue);
                    if let Err(reason) = &sender {
                        tracing::debug!(%plan, hook = %name, reason, "nobody is told by this hook");
                    }
                    (Some(queue), sender)
                }
                Err(reason) => {
                    tracing::error!(%plan, hook = %name, reason, "unable to keep events of a hook");
                    (None, Err(reason))
                }
            };
            let mut lines = voter.desk.lines();
            let earlier = lines.get_mut(&key);
            let unwritten = earlier.map(|line| std::mem::take(&mut line.unwritten));
            let line = Line {
                declared: hook.clone(),
                queue,
                sender,
                unwritten: unwritten.unwrap_or_default(),
            };
            lines.insert(key, line);
        }
    }
}

async fn open(voter: &Voter, path: &std::path::Path) -> Result<Queue, String> {
    let made = fs::create_dir_all(path);
    made.map_err(|error| format!("unable to make {}: {error}", path.display()))?;
    let opened = Queue::open(path, Bounds::default(), clock(voter)).await;
    opened.map_err(|error| error.to_string())
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

/// Has what happened at a revision and after it in the lines; yields the next to tell.
fn tell_since(voter: &Voter, state: &FederationState, from: u64) -> u64 {
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
    add(&mut voter.desk.lines(), voter.federation(), events);
    state.revision() + 1
}

/// Has events in the lines of the hooks that hear them.
fn add(
    lines: &mut Lines,
    federation: &FederationName,
    events: impl IntoIterator<Item = (PlanName, HookEvent, Event)>,
) {
    for (plan, kind, mut event) in events {
        if let Some(data) = event.data.as_object_mut() {
            data.insert("federation".into(), federation.to_string().into());
        }
        let own = lines
            .iter_mut()
            .filter(|((of, _), line)| *of == plan && line.declared.hears(kind));
        for (_, line) in own {
            line.unwritten.add(event.clone());
        }
    }
}

/// Has what is to be told on the disk, in order; what does not get there now does later.
async fn write_down(desk: &Desk) {
    let keys: Vec<_> = desk.lines().keys().cloned().collect();
    for key in keys {
        loop {
            let next = desk.lines().get(&key).and_then(|line| {
                let event = line.unwritten.first()?.clone();
                Some((line.queue.clone(), event))
            });
            let Some((queue, event)) = next else {
                break;
            };
            let id = event.id.clone();
            let written = match queue {
                Some(queue) => queue.push(event).await.map_err(|error| error.to_string()),
                None => Err("its queue can't be opened".to_owned()),
            };
            if let Err(reason) = &written {
                let (plan, hook) = &key;
                tracing::error!(%plan, %hook, reason, "events of a hook are kept in memory alone");
            }
            let is_written = written.is_ok();
            if let Some(line) = desk.lines().get_mut(&key) {
                line.unwritten.tried(&id, written.map(|_| ()));
            }
            if !is_written {
                break;
            }
        }
    }
}

/// What others are told of something that happened; none: nothing.
fn event(happened: &Happened) -> Option<(PlanName, HookEvent, Event)> {
    let command::Event::Plan { plan, change, .. } = &happened.event else {
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

#[cfg(test)]
mod tests;
