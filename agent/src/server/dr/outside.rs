//! Fences from outside: the user's own program, run by the leader, ends well once a node can't write.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hanse_core::name::ClusterName;
use hanse_core::object::dr_plan::Fencing;
use tokio::process::Command;

use super::super::voter::Voter;
use super::conductor::Glance;

/// How long after a fence that failed it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// So much of what the program said is told, in characters.
const WORDS_MAX: usize = 200;

/// One try to fence.
#[derive(Debug)]
pub(super) struct Attempt {
    run: u64,
    /// When it failed, and why; none: it is under way.
    failed: Option<(Instant, String)>,
}

/// Begins to fence the primary's site for a run, unless that is under way; yields what is waited for.
pub(super) fn fence(voter: &Arc<Voter>, glance: &Glance, cluster: &ClusterName) -> String {
    let name = &glance.plan.name;
    let run = glance
        .record
        .run
        .as_ref()
        .map_or(0, |run| run.began_revision);
    let node = glance
        .record
        .nodes
        .get(cluster)
        .map(ToString::to_string)
        .unwrap_or_default();
    let Some(Fencing::Command { command, timeout }) = glance.plan.fencing.get(cluster) else {
        return format!("`{cluster}` is to be fenced from outside, and nothing says how");
    };
    let mut memory = voter.desk.lock();
    if let Some(attempt) = memory
        .outside
        .get(name)
        .filter(|attempt| attempt.run == run)
    {
        match &attempt.failed {
            None => return format!("the node `{node}` is being fenced from outside"),
            Some((at, reason)) if at.elapsed() < RETRY_PAUSE => {
                return format!("the node `{node}` could not be fenced from outside: {reason}");
            }
            Some(_) => {}
        }
    }
    memory
        .outside
        .insert(name.clone(), Attempt { run, failed: None });
    drop(memory);
    let arguments: Vec<String> = command
        .iter()
        .map(|part| part.replace("{node}", &node))
        .collect();
    let (voter, name, timeout) = (voter.clone(), name.clone(), timeout.value());
    tracing::warn!(plan = %name, %node, "fencing from outside");
    tokio::spawn(async move {
        let ended = tokio::time::timeout(timeout, run_program(&arguments)).await;
        let ended = ended.unwrap_or_else(|_| Err(format!("no end within {timeout:?}")));
        let mut memory = voter.desk.lock();
        match ended {
            Ok(()) => memory.lookout.fenced(&name, run),
            Err(reason) => {
                tracing::error!(plan = %name, reason, "unable to fence from outside; trying again");
                let failed = Some((Instant::now(), reason));
                memory.outside.insert(name, Attempt { run, failed });
            }
        }
        drop(memory);
        voter.desk.stir();
    });
    format!(
        "the node `{}` is being fenced from outside",
        glance.record.nodes[cluster]
    )
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
