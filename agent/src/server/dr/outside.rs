//! Fences from outside, which the leader has done: by the user's own program, or by whoever runs the
//! node's machine. It ends well once the node certainly can't write, and never otherwise. What is
//! remembered of attempts may be lost: the next leader begins with a look at the machine.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hanse_core::dr::record::Phase;
use hanse_core::name::ClusterName;
use hanse_core::object::DrPlan;
use hanse_core::object::dr_plan::Fencing;
use hanse_core::secret::Purpose;
use hanse_core::state::FederationState;
use hanse_redirect::Clock;
use tokio::process::Command;

use super::super::voter::Voter;
use super::conductor::Glance;
use super::{Memory, machines, secrets};

/// How long after a fence that failed it is tried again: twice as long each time.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// How often a voter that fences makes sure that it is still its turn.
const PAST_EVERY: Duration = Duration::from_secs(1);
/// How long a majority may take to confirm that.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
const NOT_ITS_TURN: &str = "another run, another declaration or another leader goes on";
/// So much of what the program said is told, in characters.
const WORDS_MAX: usize = 200;

/// The tries to fence for a run.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The run, and the declaration that says how.
    of: (u64, u64),
    /// How many failed.
    failures: u32,
    /// When the last one ended; none: one is under way.
    ended: Option<Instant>,
    /// Why the last one failed; none: none did yet.
    reason: Option<String>,
}

impl Attempt {
    /// Whether it is time for another one.
    fn is_due(&self) -> bool {
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_LAST);
        self.ended.is_some_and(|ended| ended.elapsed() >= pause)
    }

    /// What is waited for.
    fn shown(&self, node: &str) -> String {
        match (&self.reason, self.ended) {
            (None, _) => format!("the node `{node}` is being fenced from outside"),
            (Some(reason), Some(_)) => format!(
                "the node `{node}` could not be fenced from outside, which is tried again: {reason}. \
                 Once it certainly can't write, `hanse dr confirm-fenced` says so too"
            ),
            (Some(reason), None) => format!(
                "the node `{node}` is being fenced from outside, which failed before: {reason}"
            ),
        }
    }
}

/// Begins to fence the primary's site for a run, unless that is under way; yields what is waited for.
pub(super) fn fence(voter: &Arc<Voter>, glance: &Glance, cluster: &ClusterName) -> String {
    let Glance {
        plan,
        record,
        state,
        terms,
        ..
    } = glance;
    let of = (
        record.run.as_ref().map_or(0, |run| run.began_revision),
        terms.revision,
    );
    let Some(node) = record.nodes.get(cluster) else {
        return format!("nobody knows which node of `{cluster}` is to be fenced");
    };
    // What is declared is the machine of another node then.
    if let Some(other) = plan.nodes.get(cluster).filter(|other| *other != node) {
        return format!(
            "the primary is on `{node}`, and `{other}` is declared for `{cluster}`: declare `{node}` \
             and how it is fenced, or run `hanse dr confirm-fenced` once it certainly can't write"
        );
    }
    let node = node.to_string();
    let (shown, is_begun) = begin(&mut voter.desk.lock(), plan, of, &node);
    if is_begun {
        tracing::warn!(plan = %plan.name, %node, "fencing from outside");
        let (voter, plan, state) = (voter.clone(), plan.clone(), state.clone());
        let cluster = cluster.clone();
        tokio::spawn(async move {
            let at = voter.desk.now();
            let work = async {
                if !is_its_turn(&voter, &plan, of).await {
                    return Err(NOT_ITS_TURN.to_owned());
                }
                make_sure(&voter, &state, (&plan, &cluster), &node).await
            };
            tokio::select! {
                ended = work => note(&voter, &plan, (of, at), ended),
                () = is_past(&voter, &plan, of) => {
                    note(&voter, &plan, (of, at), Err(NOT_ITS_TURN.to_owned()));
                }
                () = voter.stop.cancelled() => {}
            }
        });
    }
    shown
}

/// What is waited for, and whether another attempt is to be made now.
fn begin(memory: &mut Memory, plan: &DrPlan, of: (u64, u64), node: &str) -> (String, bool) {
    let attempts = &mut memory.outside;
    let former = attempts.remove(&plan.name).filter(|former| former.of == of);
    let is_due = former.as_ref().is_none_or(Attempt::is_due);
    let mut attempt = former.unwrap_or(Attempt {
        of,
        failures: 0,
        ended: None,
        reason: None,
    });
    if is_due {
        attempt.ended = None;
    }
    let shown = attempt.shown(node);
    attempts.insert(plan.name.clone(), attempt);
    (shown, is_due)
}

/// Keeps how an attempt ended that began at a moment, unless another run began meanwhile.
fn note(voter: &Voter, plan: &DrPlan, (of, at): ((u64, u64), Duration), ended: Result<(), String>) {
    let name = &plan.name;
    let mut memory = voter.desk.lock();
    match ended {
        Ok(()) => {
            tracing::warn!(plan = %name, "fenced from outside");
            memory.lookout.fenced(name, of, at);
            // If its holder renews after all, it is fenced again.
            memory.outside.remove(name);
        }
        Err(reason) => {
            tracing::error!(plan = %name, reason, "unable to fence from outside; trying again");
            let attempt = memory.outside.get_mut(name);
            if let Some(attempt) = attempt.filter(|attempt| attempt.of == of) {
                attempt.failures = attempt.failures.saturating_add(1);
                attempt.ended = Some(Instant::now());
                attempt.reason = Some(reason);
            }
        }
    }
    drop(memory);
    voter.desk.stir();
}

/// Returns once this voter does not lead, or the run is another: nobody is to be stopped for it then.
async fn is_past(voter: &Voter, plan: &DrPlan, of: (u64, u64)) {
    loop {
        tokio::time::sleep(PAST_EVERY).await;
        if !is_its_turn(voter, plan, of).await {
            return;
        }
    }
}

/// Whether a majority of the voters confirms that this one leads, and that the run is still there.
async fn is_its_turn(voter: &Voter, plan: &DrPlan, (run, spec_revision): (u64, u64)) -> bool {
    let confirmed = tokio::time::timeout(CONFIRMED_WITHIN, voter.confirmed()).await;
    let Ok(Ok(state)) = confirmed else {
        return false;
    };
    let declared = state.inventory().dr_plans.get(&plan.name);
    let record = state.plans().get(&plan.name);
    let now = record.and_then(|record| record.run.as_ref());
    let is_same_run =
        now.is_some_and(|now| now.began_revision == run && now.phase == Phase::Fencing);
    is_same_run && declared.is_some_and(|stored| stored.revision == spec_revision)
}

/// Makes sure that the site's node can't write.
async fn make_sure(
    voter: &Arc<Voter>,
    state: &FederationState,
    (plan, cluster): (&DrPlan, &ClusterName),
    node: &str,
) -> Result<(), String> {
    let how = plan.fencing.get(cluster);
    let nobody = || format!("`{cluster}` is to be fenced from outside, and nothing says how");
    let how = how.ok_or_else(nobody)?;
    let patience = how.outside().ok_or_else(nobody)?;
    match how {
        Fencing::Lease | Fencing::Watchdog => Err(nobody()),
        Fencing::Command { command, .. } => {
            let arguments = command.iter().map(|part| part.replace("{node}", node));
            let arguments: Vec<_> = arguments.collect();
            let ended = tokio::time::timeout(patience, run_program(&arguments)).await;
            ended.unwrap_or_else(|_| Err(format!("no end within {patience:?}")))
        }
        Fencing::Proxmox(_) | Fencing::Ec2(_) => {
            let purpose = Purpose::Fence(cluster.clone());
            let secret = secrets::opened(voter, state, plan, &purpose)?.ok_or_else(nobody)?;
            let clock = voter.clock.clone();
            let clock = Clock::new(move || clock.now_unix_s());
            let opened = machines::open(plan, cluster, &secret, clock).ok_or_else(nobody)?;
            let machine = opened.map_err(|error| error.to_string())?;
            let fenced = machine.fence(patience).await;
            fenced.map_err(|error| error.to_string())
        }
    }
}

async fn run_program(arguments: &[String]) -> Result<(), String> {
    let (program, arguments) = arguments.split_first().ok_or("no program is named")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("unable to run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: String = words.trim().chars().take(WORDS_MAX).collect();
    Err(format!("{program} ended with {}: {words}", output.status))
}
