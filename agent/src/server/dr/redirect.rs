//! Leads clients outside the mesh to the primary, and says early whether that would work. Beside the
//! leader's loop, like fences from outside: a server that does not answer holds up nothing.
//!
//! It fences nobody and never waits for resolvers. Whoever leads under an older epoch finds a later
//! mark and changes nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hanse_client::proto;
use hanse_core::dr::record::{Phase, PlanRecord};
use hanse_core::name::PlanName;
use hanse_core::object::DrPlan;
use hanse_core::object::dr_redirect::Way;
use hanse_core::state::FederationState;
use hanse_redirect::{Clock, Redirect};

use super::super::voter::Voter;
use super::conductor::Glance;
use super::{Memory, secrets, ways};

/// How long after an attempt that failed it is made again, and how long one that succeeded is
/// believed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// Where clients are to be led.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Goal {
    /// To whom; none: nobody is primary yet, and it is only found out whether clients could be led.
    to: Option<IpAddr>,
    /// Later than that of every other goal that was decided before.
    epoch: u64,
}

/// One attempt to reach a goal.
#[derive(Debug)]
pub(super) struct Attempt {
    goal: Goal,
    /// When it ended, and how; none: it is under way.
    ended: Option<(Instant, Result<String, String>)>,
    /// What the one before found.
    former: Option<Result<String, String>>,
}

impl Attempt {
    /// Where clients are led, or why they can't be, by what was found last.
    fn found(&self) -> Option<&Result<String, String>> {
        let ended = self.ended.as_ref().map(|(_, outcome)| outcome);
        ended.or(self.former.as_ref())
    }
}

/// Begins what is to be done now, for each way.
pub(super) fn tend(voter: &Arc<Voter>, glance: &Glance) {
    for (way, _, _) in glance.plan.ways() {
        let goal = match goal(&glance.state, (&glance.plan, way), &glance.record) {
            Ok(Some(goal)) => goal,
            Ok(None) => continue,
            Err((goal, reason)) => {
                note(voter, (&glance.plan.name, way), goal, Err(reason));
                continue;
            }
        };
        if begin(&mut voter.desk.lock(), (&glance.plan.name, way), &goal) {
            let voter = voter.clone();
            let (plan, state) = (glance.plan.clone(), glance.state.clone());
            let is_urgent = is_redirecting(&glance.record);
            tokio::spawn(async move {
                let work = reach(&voter, &state, (&plan, way), (&goal, is_urgent));
                if let Some(outcome) = voter.stop.run_until_cancelled(work).await {
                    note(&voter, (&plan.name, way), goal, outcome);
                    voter.desk.stir();
                }
            });
        }
    }
}

/// Whether each way leads clients to the primary; else why one doesn't yet.
pub(super) fn is_led(
    memory: &Memory,
    state: &FederationState,
    plan: &DrPlan,
    record: &PlanRecord,
) -> Result<(), String> {
    for (way, name, _) in plan.ways() {
        let Ok(Some(goal)) = goal(state, (plan, way), record) else {
            return Err(format!("{name} can't be led"));
        };
        let attempt = memory.redirects.get(&(plan.name.clone(), way));
        match attempt.filter(|attempt| attempt.goal == goal) {
            Some(Attempt {
                ended: Some((_, Ok(_))),
                ..
            }) => {}
            Some(Attempt {
                ended: Some((_, Err(reason))),
                ..
            }) => return Err(reason.clone()),
            Some(Attempt { ended: None, .. }) | None => {
                return Err(format!("{name} is being led to the new primary"));
            }
        }
    }
    Ok(())
}

/// How it is, for people and programs.
pub(super) fn show(memory: &Memory, plan: &DrPlan) -> Vec<proto::RedirectView> {
    let ways = plan.ways().into_iter();
    ways.map(|(way, record, _)| {
        let attempt = memory.redirects.get(&(plan.name.clone(), way));
        let (leads_to, trouble) = match attempt.and_then(Attempt::found) {
            None => (String::new(), String::new()),
            Some(Ok(leads_to)) => (leads_to.clone(), String::new()),
            Some(Err(trouble)) => (String::new(), trouble.clone()),
        };
        proto::RedirectView {
            way: way.to_string(),
            record: record.to_string(),
            leads_to,
            trouble,
        }
    })
    .collect()
}

/// Whether clients are being led to a new primary.
pub(super) fn is_redirecting(record: &PlanRecord) -> bool {
    let run = record.run.as_ref();
    run.is_some_and(|run| run.phase == Phase::Redirecting)
}

/// Where clients are to be led; none: that is not to be touched now.
fn goal(
    state: &FederationState,
    (plan, way): (&DrPlan, Way),
    record: &PlanRecord,
) -> Result<Option<Goal>, (Goal, String)> {
    // Whoever is primary in the meantime is not known, or may be so by the word of another federation.
    let is_moving = record.run.is_some() && !is_redirecting(record);
    if record.held.is_some() || (is_moving && record.primary.is_some()) {
        return Ok(None);
    }
    let declared = state.inventory().dr_plans.get(&plan.name);
    let declared = declared.map_or(0, |stored| stored.revision);
    // Both are revisions of one state: whatever is newer is later than all that was before.
    let epoch = record.epoch.max(declared);
    let Some(primary) = &record.primary else {
        return Ok(Some(Goal { to: None, epoch }));
    };
    let inventory = state.inventory();
    let in_mesh = || {
        let node = inventory.nodes.get(record.nodes.get(primary)?)?;
        let place = node.meshes.get(&inventory.mesh_of_plan(plan)?.name)?;
        place.addresses.first().copied()
    };
    match plan.address_of(way, primary).or_else(in_mesh) {
        Some(to) => Ok(Some(Goal {
            to: Some(to),
            epoch,
        })),
        None => Err((
            Goal { to: None, epoch },
            format!(
                "nothing says where clients are led while `{primary}` is primary: write \
                 {way}.addresses"
            ),
        )),
    }
}

/// Whether an attempt is to be made now; then it is under way.
fn begin(memory: &mut Memory, (plan, way): (&PlanName, Way), goal: &Goal) -> bool {
    let attempts = &mut memory.redirects;
    let former = attempts.get(&(plan.clone(), way));
    let is_due = match former.filter(|former| former.goal == *goal) {
        None => true,
        Some(Attempt { ended: None, .. }) => false,
        Some(Attempt {
            ended: Some((at, outcome)),
            ..
        }) => {
            let pause = if outcome.is_ok() {
                BELIEVED_FOR
            } else {
                RETRY_PAUSE
            };
            at.elapsed() >= pause
        }
    };
    if is_due {
        // What was found for another primary says nothing of this one.
        let same = former.filter(|former| former.goal.to == goal.to);
        let former = same.and_then(Attempt::found).cloned();
        let attempt = Attempt {
            goal: goal.clone(),
            ended: None,
            former,
        };
        attempts.insert((plan.clone(), way), attempt);
    }
    is_due
}

/// Keeps how an attempt ended, unless another one began meanwhile, and says what is new.
fn note(voter: &Voter, (plan, way): (&PlanName, Way), goal: Goal, outcome: Result<String, String>) {
    let mut memory = voter.desk.lock();
    let attempts = &mut memory.redirects;
    let former = attempts.get(&(plan.clone(), way));
    if former.is_some_and(|former| former.goal.epoch > goal.epoch) {
        return;
    }
    let is_new = former.and_then(Attempt::found) != Some(&outcome);
    if is_new {
        match &outcome {
            Ok(leads_to) => tracing::info!(%plan, %way, leads_to, "clients are led"),
            Err(reason) => tracing::error!(%plan, %way, reason, "unable to lead clients"),
        }
    }
    let attempt = Attempt {
        goal,
        ended: Some((Instant::now(), outcome)),
        former: None,
    };
    attempts.insert((plan.clone(), way), attempt);
}

/// Leads clients, or finds out whether they could be led; yields where they are.
async fn reach(
    voter: &Arc<Voter>,
    state: &FederationState,
    (plan, way): (&DrPlan, Way),
    (goal, is_urgent): (&Goal, bool),
) -> Result<String, String> {
    let redirect = open(voter, state, (plan, way))?;
    let said = |error: hanse_redirect::RedirectError| error.to_string();
    let mut led = String::new();
    if !is_urgent {
        let found = redirect.check().await.map_err(said)?;
        led = found.sight.addresses().collect::<Vec<_>>().join(", ");
    }
    if let Some(to) = goal.to {
        redirect.lead(to, goal.epoch).await.map_err(said)?;
        led = to.to_string();
    }
    Ok(led)
}

fn open(
    voter: &Arc<Voter>,
    state: &FederationState,
    (plan, way): (&DrPlan, Way),
) -> Result<Redirect, String> {
    let opened = secrets::opened(voter, state, plan, &ways::purpose(way))?;
    let opened = opened.ok_or("the plan does not lead clients so any more")?;
    let clock = voter.clock.clone();
    let clock = Clock::new(move || clock.now_unix_s());
    let redirect = ways::open(plan, way, &opened, clock);
    let redirect = redirect.ok_or("the plan does not lead clients so any more")?;
    redirect.map_err(|error| error.to_string())
}
