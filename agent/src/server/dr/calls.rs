//! What nodes, guards and operators say of DR plans.

use hanse_client::{RefusalKind, convert, proto, refusal};
use hanse_consensus::lease::NoLease;
use hanse_core::command::{PlanRequest, Request};
use hanse_core::dr::ask::{self, Ask};
use hanse_core::dr::backup::BackupSight;
use hanse_core::dr::copies::copies_of;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::dr::position::Position;
use hanse_core::dr::record::Phase;
use hanse_core::finding::{Finding, Path};
use hanse_core::lease::{LeaseError, LeaseRequest};
use hanse_core::name::{ClusterName, LeaseName, NodeName, PlanName};
use hanse_core::object::dr_backup::Password;
use hanse_core::secret::{PlanSecret, Purpose};
use hanse_core::state::FederationState;
use tonic::Status;

use super::super::authorize::Call;
use super::super::caller::Caller;
use super::super::enroll::calling_node;
use super::super::voter::{Voter, failed, invalid};
use super::conductor::glance;
use super::{Remarks, drills};
use crate::preshared::PresharedKeys;

/// The longest sentence that is kept of a copy, in characters.
const SENTENCE_LENGTH_MAX: usize = 500;
/// How many warnings are kept of a copy at most.
const WARNINGS_MAX: usize = 8;

/// Keeps what a node tells of a copy of its own. Yields what its copies have to be, if it lags.
pub(in super::super) fn report(
    voter: &Voter,
    caller: &Caller,
    request: proto::ReportCopyRequest,
) -> Result<Option<proto::CopyPlans>, Status> {
    let node = calling_node(caller)?;
    let status = request.status.unwrap_or_default();
    let told = convert::copy_status_from_proto(&status);
    let (plan, mut copy) = told.map_err(|findings| malformed(&findings))?;
    copy.trouble = copy.trouble.map(|trouble| shortened(&trouble));
    let state = voter.replica.read();
    // What is told of a copy that the node does not have (any more) is nobody's.
    if let Some(cluster) = cluster_of(&state, &plan, &node) {
        let drill = request.drill;
        let drill = drill.map(|told| drills::sight(&state, (&plan, &node), told));
        let now = voter.desk.now();
        let mut memory = voter.desk.lock();
        let key = (plan.clone(), cluster.clone());
        match status.progress.is_empty() {
            true => memory.progress.remove(&key),
            false => memory
                .progress
                .insert(key.clone(), shortened(&status.progress)),
        };
        memory.remarks.insert(key.clone(), read_remarks(&status));
        match &status.backup {
            None => memory.backups.remove(&key),
            Some(backup) => memory.backups.insert(key, read_backup(backup)),
        };
        memory.lookout.heard(&plan, (&cluster, &node), copy, now);
        memory.lookout.drilled(&plan, &node, drill);
        drop(memory);
        voter.desk.stir();
    }
    let copies = copies_of(&state, &node);
    let is_newer = |(revision, copy): &(u64, CopyPlan)| {
        copy.plan == plan && *revision > request.heard_revision
    };
    if !copies.iter().any(is_newer) {
        return Ok(None);
    }
    let keys = voter.keys()?;
    let copies = with_secrets(voter, &state, &keys.preshared, copies);
    Ok(Some(copies_message(&copies, state.revision())))
}

/// The copies with what only voters can open. It must not be printed or kept.
pub(in super::super) fn with_secrets(
    voter: &Voter,
    state: &FederationState,
    keys: &PresharedKeys,
    copies: Vec<(u64, CopyPlan)>,
) -> Vec<(u64, CopyPlan)> {
    let with_secrets = |(revision, mut copy): (u64, CopyPlan)| {
        copy.key = Some(keys.of_plan(&copy.plan));
        if let Some(backup) = &mut copy.backup {
            let secret = PlanSecret {
                plan: copy.plan.clone(),
                purpose: Purpose::Backup,
                version: backup.declared.password_version,
            };
            // A voter that can't open it is followed by one that can, or the state lacks it: the node
            // says that it has none.
            let opened = voter.open_plan_secret(state, secret).ok();
            backup.password = opened.and_then(|opened| Password::try_new(&opened).ok());
        }
        (revision, copy)
    };
    copies.into_iter().map(with_secrets).collect()
}

/// What a node's copies have to be, as of a revision, for the wire.
pub(in super::super) fn copies_message(
    copies: &[(u64, CopyPlan)],
    revision: u64,
) -> proto::CopyPlans {
    let told = copies.iter();
    let told = told.map(|(revision, copy)| convert::copy_plan_to_proto(*revision, copy));
    proto::CopyPlans {
        copies: told.collect(),
        revision,
    }
}

fn read_backup(status: &proto::BackupStatus) -> BackupSight {
    let mut backup = convert::backup_status_from_proto(status);
    backup.trouble = backup.trouble.map(|trouble| shortened(&trouble));
    backup.progress = backup.progress.map(|progress| shortened(&progress));
    backup
}

fn read_remarks(status: &proto::CopyStatus) -> Remarks {
    let warnings = status.warnings.iter().take(WARNINGS_MAX);
    Remarks {
        lag_s: status.lag_s,
        watchdog: status.watchdog,
        warnings: warnings.map(|warning| shortened(warning)).collect(),
    }
}

/// Renews the lease of a plan whose primary is the caller's.
pub(in super::super) async fn renew(
    voter: &Voter,
    caller: &Caller,
    request: &proto::RenewLeaseRequest,
) -> Result<proto::RenewLeaseResponse, Status> {
    let node = calling_node(caller)?;
    let plan = read_plan(&request.plan)?;
    let (lease, epoch) = (LeaseName::from(&plan), request.epoch);
    let known = voter.replica.read();
    if known
        .plans()
        .get(&plan)
        .is_some_and(|record| record.held.is_some())
    {
        // It may be the holder's by the word of the federation that this one was restored from.
        let reason =
            "this federation was restored, and the plan waits for `hanse dr confirm-fenced`";
        return Err(Status::unavailable(reason));
    }
    if is_to_end(&known, &plan) {
        let reason = LeaseError::Lost(lease).to_string();
        return Err(refused(RefusalKind::Conflict, "No lease", &reason));
    }
    let renewed = voter.replica.renew_lease(&lease, &node, epoch).await;
    let ttl = match renewed {
        Ok(ttl) => ttl,
        Err(refusal @ NoLease::Refused(_)) => {
            // The lease goes with its plan, and what runs stays: its guard is to know which it is.
            return Err(match voter.confirmed().await?.plans().contains_key(&plan) {
                true => no_lease(refusal),
                false => not_declared(&plan),
            });
        }
        Err(error @ NoLease::Unknown(_)) => return Err(no_lease(error)),
    };
    let state = voter.replica.read();
    if let Some((cluster, offset_bytes)) =
        cluster_of(&state, &plan, &node).zip(request.offset_bytes)
    {
        let position = Position {
            branch: epoch,
            offset_bytes,
        };
        let now = voter.desk.now();
        let mut memory = voter.desk.lock();
        memory
            .lookout
            .renewed(&plan, (&cluster, &node), position, now);
    }
    Ok(proto::RenewLeaseResponse {
        ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Whether the primary's lease is to end, so that nobody waits for ever for a holder that goes on
/// renewing it: somebody asked for another, or it was promoted and did not become primary. And nobody
/// writes under a lease whose holder counts as fenced by somebody's word.
fn is_to_end(state: &FederationState, plan: &PlanName) -> bool {
    let record = state.plans().get(plan);
    let Some((record, run)) = record.and_then(|record| Some((record, record.run.as_ref()?))) else {
        return false;
    };
    if run.phase != Phase::Fencing {
        return false;
    }
    let primary = record.primary.as_ref();
    let has_failed = primary.is_some_and(|primary| run.failed.contains(primary));
    let spec = state.inventory().dr_plans.get(plan);
    let is_outside = spec.zip(primary).is_some_and(|(stored, primary)| {
        let how = stored.spec.fencing.get(primary);
        how.is_some_and(|how| how.outside().is_some())
    });
    let may_end = record.fences_itself || is_outside;
    run.fence_confirmed || (may_end && (run.asked || has_failed))
}

/// Takes a lease back from its holder.
pub(in super::super) async fn release(
    voter: &Voter,
    caller: &Caller,
    request: proto::ReleaseLeaseRequest,
) -> Result<(), Status> {
    let holder = calling_node(caller)?;
    let plan = read_plan(&request.plan)?;
    let change = Request::Lease(LeaseRequest::Release {
        lease: LeaseName::from(&plan),
        holder,
        epoch: request.epoch,
    });
    let object = format!("lease of DR plan `{plan}`");
    let id = &request.request_id;
    voter
        .propose(caller, Call::Lease, &object, id, change)
        .await?;
    voter.desk.stir();
    Ok(())
}

/// Does what an operator asks of a plan, or refuses it.
pub(in super::super) async fn run_plan(
    voter: &Voter,
    caller: &Caller,
    request: proto::RunPlanRequest,
) -> Result<proto::RunPlanResponse, Status> {
    let plan = read_plan(&request.plan)?;
    let wanted = read_ask(request.ask)?;
    let id = &request.request_id;
    // Each ask is one line of the audit log, which says what was asked for.
    let object = format!("DR plan `{plan}`: {wanted}");
    if let Some(revision) = voter.committed_at(caller, Call::RunPlan, id).await? {
        // When it was committed, its line may not have got to the disk.
        voter
            .note_unchanged(caller, Call::RunPlan, &object, revision)
            .await?;
        return Ok(proto::RunPlanResponse { revision });
    }
    let Some(glance) = glance(voter, &plan) else {
        let state = voter.confirmed().await?;
        return Err(match state.plans().contains_key(&plan) {
            true => Status::unavailable("this voter began to lead just now; try again"),
            false => not_declared(&plan),
        });
    };
    let reason = format!("{caller} asks for it");
    let decided = ask::admit(
        &glance.terms,
        &glance.record,
        &glance.sight,
        (wanted, reason),
    );
    let change = match decided {
        Ok(change) => change,
        Err(reason) => {
            let reason = reason.to_string();
            voter
                .note_refusal(caller, Call::RunPlan, &object, &reason)
                .await?;
            let event = format!("{plan}/asked/{id}");
            voter.desk.refuse(&plan, event, &reason);
            return Err(refused(RefusalKind::Conflict, "Refused", &reason));
        }
    };
    let change = PlanRequest {
        plan,
        record_revision: glance.record.revision,
        spec_revision: glance.terms.revision,
        change,
        asked_by: Some(caller.to_string()),
        ended_epoch: None,
    };
    let committed = voter
        .propose(caller, Call::RunPlan, &object, id, Request::Plan(change))
        .await?;
    voter.desk.stir();
    let revision = committed.revision;
    Ok(proto::RunPlanResponse { revision })
}

fn read_ask(ask: Option<proto::run_plan_request::Ask>) -> Result<Ask, Status> {
    use proto::run_plan_request::Ask as Asked;
    Ok(match ask {
        None => {
            let detail = "The message asks for nothing that is known here.";
            return Err(invalid(Path::of("ask"), "Unknown request", detail));
        }
        Some(Asked::Switchover(switchover)) => Ask::Switchover {
            to: read_cluster(&switchover.to)?,
        },
        Some(Asked::Failover(failover)) => Ask::Failover {
            to: match failover.to.as_str() {
                "" => None,
                to => Some(read_cluster(to)?),
            },
            allows_data_loss: failover.allow_data_loss,
        },
        Some(Asked::Failback(_)) => Ask::Failback,
        Some(Asked::Drill(drill)) => Ask::Drill {
            on: match drill.on.as_str() {
                "" => None,
                on => Some(read_cluster(on)?),
            },
        },
        Some(Asked::Pause(_)) => Ask::Pause,
        Some(Asked::Resume(_)) => Ask::Resume,
        Some(Asked::ConfirmFenced(holder)) => Ask::ConfirmFenced {
            holder: holder.parse().map_err(|error| {
                let detail = format!("{error}.");
                invalid(Path::of("holder"), "Invalid name", &detail)
            })?,
        },
    })
}

fn read_cluster(text: &str) -> Result<ClusterName, Status> {
    text.parse()
        .map_err(|error| invalid(Path::of("to"), "Invalid name", &format!("{error}.")))
}

pub(super) fn read_plan(text: &str) -> Result<PlanName, Status> {
    text.parse()
        .map_err(|error| invalid(Path::of("plan"), "Invalid name", &format!("{error}.")))
}

/// The site whose copy a node has.
fn cluster_of(state: &FederationState, plan: &PlanName, node: &NodeName) -> Option<ClusterName> {
    let nodes = &state.plans().get(plan)?.nodes;
    let mut own = nodes.iter().filter(|(_, holder)| *holder == node);
    own.next().map(|(cluster, _)| cluster.clone())
}

fn shortened(sentence: &str) -> String {
    sentence.chars().take(SENTENCE_LENGTH_MAX).collect()
}

fn not_declared(plan: &PlanName) -> Status {
    let detail = format!("No DR plan `{plan}` is declared. See: hanse dr");
    refused(RefusalKind::NotFound, "Not found", &detail)
}

fn no_lease(error: NoLease) -> Status {
    match error {
        NoLease::Refused(reason) => refused(RefusalKind::Conflict, "No lease", &reason.to_string()),
        NoLease::Unknown(error) => failed(error),
    }
}

fn refused(kind: RefusalKind, summary: &str, detail: &str) -> Status {
    refusal::to_status(kind, &[Finding::error(Path::root(), summary, detail)])
}

fn malformed(findings: &[Finding]) -> Status {
    refusal::to_status(RefusalKind::Invalid, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_for_people_is_bounded() {
        let status = proto::CopyStatus {
            lag_s: Some(3),
            watchdog: Some(true),
            warnings: vec!["w".repeat(2 * SENTENCE_LENGTH_MAX); 2 * WARNINGS_MAX],
            ..Default::default()
        };
        let expected = Remarks {
            lag_s: Some(3),
            watchdog: Some(true),
            warnings: vec!["w".repeat(SENTENCE_LENGTH_MAX); WARNINGS_MAX],
        };
        assert_eq!(read_remarks(&status), expected);
    }
}
