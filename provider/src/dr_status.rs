//! `hanse_dr_status`: how a DR plan is, by the word of whoever leads the voters.

use std::collections::BTreeMap;

use hanse_client::drill_run::describe_running;
use hanse_client::proto;
use hanse_core::name::PlanName;
use terraform_plugin::{Attr, Cx, DataSource, DeferReason, Diagnostics, Model, async_trait};

use crate::declared::non_empty;
use crate::diagnostics::of_error;
use crate::dr_backup::BackupStatusModel;
use crate::dr_drill::PastDrillModel;
use crate::dr_parts::PredictionModel;
use crate::dr_redirect::{HookStatusModel, RedirectStatusModel};
use crate::lookup::{expect_federation, texts, wrong};
use crate::session::Session;

/// How a DR plan is: who is primary, how far each copy lags, what is under way and what it waits for.
/// Ages and positions are new at each read: an output that shows them changes with each plan.
#[derive(Clone, Model)]
pub(crate) struct DrStatusModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the DR plan.
    #[attribute(required)]
    pub(crate) plan: Attr<String>,
    /// The member cluster where the primary belongs.
    #[attribute(computed)]
    pub(crate) home: Attr<String>,
    /// The member cluster that is primary, or was last; null: none was yet.
    #[attribute(computed)]
    pub(crate) primary: Attr<String>,
    /// Its node.
    #[attribute(computed)]
    pub(crate) primary_node: Attr<String>,
    /// The lease under which it is primary, higher with each promotion; null: none was yet.
    #[attribute(computed)]
    pub(crate) fence_epoch: Attr<u64>,
    /// The run that is under way; null: none is.
    #[attribute(computed)]
    pub(crate) run: Attr<RunModel>,
    /// The latest run that ended; null: none has yet.
    #[attribute(computed)]
    pub(crate) past: Attr<PastRunModel>,
    /// The copies, by member cluster.
    #[attribute(computed)]
    pub(crate) copies: Attr<BTreeMap<String, CopyModel>>,
    /// Whether nothing happens by itself, on an operator's word.
    #[attribute(computed)]
    pub(crate) paused: Attr<bool>,
    /// The node that may still be primary, in a federation that was restored; null: none. It is
    /// released with `hanse dr confirm-fenced`.
    #[attribute(computed)]
    pub(crate) held: Attr<String>,
    /// Why what should happen doesn't, in one sentence; null: all is well.
    #[attribute(computed)]
    pub(crate) waits_for: Attr<String>,
    /// For how long the lease was not renewed, in milliseconds; null: nobody holds it.
    #[attribute(computed)]
    pub(crate) lease_silent_for_ms: Attr<u64>,
    /// How old the last known position of the primary is, in milliseconds; null: none is known.
    #[attribute(computed)]
    pub(crate) mark_age_ms: Attr<u64>,
    /// Who has each commit before it is acknowledged; null: nobody has to.
    #[attribute(computed)]
    pub(crate) set: Attr<SyncSetModel>,
    /// When a write counts as done: `async`, `semi-sync` or `sync`.
    #[attribute(computed)]
    pub(crate) replication: Attr<String>,
    /// The address that follows the primary; null: there is none.
    #[attribute(computed)]
    pub(crate) service_address: Attr<String>,
    /// How clients outside the mesh are led, by `dns` or `route53`.
    #[attribute(computed)]
    pub(crate) redirects: Attr<BTreeMap<String, RedirectStatusModel>>,
    /// How those are told who hear of the plan's runs, by hook, as the voter has it that leads.
    #[attribute(computed)]
    pub(crate) hooks: Attr<BTreeMap<String, HookStatusModel>>,
    /// Whether a failover needs nobody's word.
    #[attribute(computed)]
    pub(crate) automatic_failover: Attr<bool>,
    /// Why an automatic failover would be refused although nothing is wrong yet, in one sentence: there
    /// are too few voters, or one site has too many; null: it would not, or a failover needs
    /// somebody's word.
    #[attribute(computed)]
    pub(crate) quorum_trouble: Attr<String>,
    /// Whether it is accepted that a paused machine may write for a moment when it goes on.
    #[attribute(computed)]
    pub(crate) accepts_pause_risk: Attr<bool>,
    /// How long a failover takes at most: the longest of all that an automatic failover covers, which is
    /// the death of the primary's host, or of its site, with the voters' leader.
    #[attribute(computed)]
    pub(crate) predicted: Attr<PredictionModel>,
    /// The same for each path, by what goes away: `process` (the server), `host`, `link`,
    /// `host-with-leader` (the voters' leader with it), `site`, and `voter` (that leader alone: nobody
    /// is promoted); null: the voters don't tell.
    #[attribute(computed)]
    pub(crate) predicted_paths: Attr<BTreeMap<String, PredictionModel>>,
    /// The latest drill that ended; null: none was held yet.
    #[attribute(computed)]
    pub(crate) last_drill: Attr<PastDrillModel>,
    /// How far the drill is that is under way, in words; null: none is.
    #[attribute(computed)]
    pub(crate) drill_progress: Attr<String>,
    /// When the next drill begins by itself, in seconds since 1970; null: only if somebody asks.
    #[attribute(computed)]
    pub(crate) next_drill_unix_s: Attr<u64>,
}

/// A run that is under way.
#[derive(Clone, Model)]
pub(crate) struct RunModel {
    /// `start`, `failover`, `switchover` or `failback`.
    #[attribute(computed)]
    pub(crate) kind: Attr<String>,
    /// `demoting`, `fencing`, `promoting` or `redirecting`.
    #[attribute(computed)]
    pub(crate) phase: Attr<String>,
    /// The member cluster that is left; null: nobody was primary before.
    #[attribute(computed)]
    pub(crate) from: Attr<String>,
    /// The one that is to be primary; null: it is not chosen yet.
    #[attribute(computed)]
    pub(crate) to: Attr<String>,
    /// Why, in one sentence.
    #[attribute(computed)]
    pub(crate) reason: Attr<String>,
    /// When it began, in seconds since 1970.
    #[attribute(computed)]
    pub(crate) began_unix_s: Attr<u64>,
}

/// A run that ended.
#[derive(Clone, Model)]
pub(crate) struct PastRunModel {
    /// `start`, `failover`, `switchover` or `failback`.
    #[attribute(computed)]
    pub(crate) kind: Attr<String>,
    /// `moved`, `recovered` (the old primary came back in time), `cancelled` or `rolled-back`.
    #[attribute(computed)]
    pub(crate) outcome: Attr<String>,
    /// The member cluster that was left; null: nobody was primary before.
    #[attribute(computed)]
    pub(crate) from: Attr<String>,
    /// The primary since.
    #[attribute(computed)]
    pub(crate) to: Attr<String>,
    /// Why it began, in one sentence.
    #[attribute(computed)]
    pub(crate) reason: Attr<String>,
    /// When it began, in seconds since 1970.
    #[attribute(computed)]
    pub(crate) began_unix_s: Attr<u64>,
    /// When it ended, in seconds since 1970.
    #[attribute(computed)]
    pub(crate) ended_unix_s: Attr<u64>,
    /// How many bytes were lost; null: that is not known.
    #[attribute(computed)]
    pub(crate) lost_bytes: Attr<u64>,
}

/// One copy. What it has not told yet is null.
#[derive(Clone, Model)]
pub(crate) struct CopyModel {
    /// The node that has it.
    #[attribute(computed)]
    pub(crate) node: Attr<String>,
    /// `absent`, `seeding`, `stopped`, `following`, `detached` or `primary`.
    #[attribute(computed)]
    pub(crate) role: Attr<String>,
    /// What it lacks of the primary, in bytes; null: that is not known.
    #[attribute(computed)]
    pub(crate) lag_bytes: Attr<u64>,
    /// By how many seconds it lags at most, 0 while it has all that the primary has; null: that is not known.
    #[attribute(computed)]
    pub(crate) lag_s: Attr<u64>,
    /// How far it is.
    #[attribute(computed)]
    pub(crate) position: Attr<PositionModel>,
    /// What is wrong with it, in one sentence; null: nothing.
    #[attribute(computed)]
    pub(crate) trouble: Attr<String>,
    /// What somebody should know of, although nothing is wrong with it, each in one sentence.
    #[attribute(computed)]
    pub(crate) warnings: Attr<Vec<String>>,
    /// How far a long step is, in words; null: none is under way.
    #[attribute(computed)]
    pub(crate) progress: Attr<String>,
    /// How the backups are, from the node that makes them; null: this one makes none.
    #[attribute(computed)]
    pub(crate) backup: Attr<BackupStatusModel>,
    /// Whether the host's watchdog resets it if what writes can't be ended, which needs the fencing
    /// `watchdog` and a device.
    #[attribute(computed)]
    pub(crate) watchdog: Attr<bool>,
    /// How long ago its node told, in milliseconds.
    #[attribute(computed)]
    pub(crate) heard_ago_ms: Attr<u64>,
}

/// How far a copy is.
#[derive(Clone, Model)]
pub(crate) struct PositionModel {
    /// The lease under which it was written; 0: before the plan.
    #[attribute(computed)]
    pub(crate) branch: Attr<u64>,
    /// In bytes.
    #[attribute(computed)]
    pub(crate) offset_bytes: Attr<u64>,
}

/// Who has each commit before it is acknowledged.
#[derive(Clone, Model)]
pub(crate) struct SyncSetModel {
    /// Member clusters.
    #[attribute(computed)]
    pub(crate) members: Attr<Vec<String>>,
    /// How many of them.
    #[attribute(computed)]
    pub(crate) needed: Attr<u32>,
}

/// The data source.
pub(crate) struct DrStatus;

#[async_trait]
impl DataSource for DrStatus {
    type Client = Session;
    type Model = DrStatusModel;
    const TYPE_NAME: &'static str = "hanse_dr_status";

    async fn read(
        &self,
        cx: &Cx<Session>,
        config: DrStatusModel,
    ) -> Result<DrStatusModel, Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            cx.defer(DeferReason::ProviderConfigUnknown)?;
            return Ok(config);
        }
        expect_federation(session.run_snapshot().await?, &config.federation)?;
        let name = config.plan.as_known().map_or("", String::as_str);
        let name = name
            .parse()
            .map_err(|error| wrong("plan", "No name of a DR plan", format!("{error}")))?;
        Ok(config.with(look(session, &name).await?))
    }
}

/// How a plan is now.
pub(crate) async fn look(
    session: &Session,
    plan: &PlanName,
) -> Result<proto::PlanStatus, Diagnostics> {
    let status = session.federation()?.plan(plan).await;
    status.map_err(|error| of_error(&format!("read how the DR plan `{plan}` is"), &error))
}

impl DrStatusModel {
    fn with(self, status: proto::PlanStatus) -> Self {
        let last_drill = PastDrillModel::latest(&status);
        let drill_progress = status.drill.as_ref();
        let drill_progress = drill_progress.map(|drill| describe_running(&status.plan, drill));
        let copies = status.copies.into_iter();
        let copies = copies.map(|copy| (copy.member_cluster.clone(), CopyModel::from(copy)));
        let set = status.set.filter(|set| set.needed > 0);
        let paths: BTreeMap<_, _> = status
            .paths
            .into_iter()
            .filter_map(|path| Some((path.failure, PredictionModel::from(path.predicted?))))
            .collect();
        let redirects = status.redirects.into_iter();
        let redirects = redirects.map(|one| (one.way.clone(), RedirectStatusModel::from(one)));
        let hooks = status.hooks.into_iter();
        let hooks = hooks.map(|hook| (hook.name.clone(), HookStatusModel::from(hook)));
        Self {
            federation: self.federation,
            plan: self.plan,
            home: non_empty(status.home),
            primary: non_empty(status.primary),
            primary_node: non_empty(status.primary_node),
            fence_epoch: Attr::from(Some(status.fence_epoch).filter(|epoch| *epoch > 0)),
            run: Attr::from(status.run.map(RunModel::from)),
            past: Attr::from(status.past.map(PastRunModel::from)),
            copies: Attr::Known(copies.collect()),
            paused: Attr::Known(status.paused),
            held: non_empty(status.held),
            waits_for: non_empty(status.waits_for),
            lease_silent_for_ms: Attr::from(status.lease_silent_for_ms),
            mark_age_ms: Attr::from(status.mark_age_ms),
            set: Attr::from(set.map(|set| SyncSetModel {
                members: texts(set.members),
                needed: Attr::Known(set.needed),
            })),
            replication: non_empty(status.replication),
            service_address: non_empty(status.service_address),
            redirects: Attr::Known(redirects.collect()),
            hooks: Attr::Known(hooks.collect()),
            automatic_failover: Attr::Known(status.automatic_failover),
            quorum_trouble: non_empty(status.quorum_trouble),
            accepts_pause_risk: Attr::Known(status.accepts_pause_risk),
            predicted: Attr::from(status.predicted.map(PredictionModel::from)),
            predicted_paths: Attr::from(Some(paths).filter(|paths| !paths.is_empty())),
            last_drill,
            drill_progress: Attr::from(drill_progress),
            next_drill_unix_s: Attr::from(status.next_drill_unix_s),
        }
    }
}

impl From<proto::PlanRun> for RunModel {
    fn from(run: proto::PlanRun) -> Self {
        Self {
            kind: Attr::Known(run.kind),
            phase: Attr::Known(run.phase),
            from: non_empty(run.from),
            to: non_empty(run.to),
            reason: non_empty(run.reason),
            began_unix_s: Attr::Known(run.began_unix_s),
        }
    }
}

impl From<proto::PastPlanRun> for PastRunModel {
    fn from(past: proto::PastPlanRun) -> Self {
        Self {
            kind: Attr::Known(past.kind),
            outcome: Attr::Known(past.outcome),
            from: non_empty(past.from),
            to: non_empty(past.to),
            reason: non_empty(past.reason),
            began_unix_s: Attr::Known(past.began_unix_s),
            ended_unix_s: Attr::Known(past.ended_unix_s),
            lost_bytes: Attr::from(past.lost_bytes),
        }
    }
}

impl From<proto::CopyView> for CopyModel {
    fn from(copy: proto::CopyView) -> Self {
        let was_heard = copy.status.is_some();
        let told = copy.status.unwrap_or_default();
        Self {
            node: non_empty(copy.node),
            role: non_empty(told.role),
            lag_bytes: Attr::from(copy.lag_bytes),
            lag_s: Attr::from(copy.lag_s),
            position: Attr::from(told.position.map(|position| PositionModel {
                branch: Attr::Known(position.branch),
                offset_bytes: Attr::Known(position.offset_bytes),
            })),
            trouble: non_empty(told.trouble),
            warnings: match was_heard {
                true => texts(told.warnings),
                false => Attr::Null,
            },
            progress: non_empty(told.progress),
            backup: Attr::from(told.backup.map(BackupStatusModel::from)),
            watchdog: Attr::from(told.watchdog),
            heard_ago_ms: Attr::from(was_heard.then_some(copy.heard_ago_ms)),
        }
    }
}

#[cfg(test)]
mod tests;
