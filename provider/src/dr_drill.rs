//! Drills: what a DR plan declares of them, what is shown of them, and `hanse_drill`, the action that
//! holds one and says how far it is.
//!
//! The drill is the federation's. Whoever gives up the wait stops nothing.

use std::time::Duration;

use hanse_client::drill_run::{describe_drill, has_passed};
use hanse_client::proto::run_plan_request::{self, Ask};
use hanse_client::{client, proto};
use hanse_core::duration::Span;
use hanse_core::finding;
use hanse_core::object::dr_plan::DRILL_DATABASE_DEFAULT;
use terraform_plugin::{
    Action, Attr, Cx, DeferReason, Diagnostic, Diagnostics, Model, async_trait,
};

use crate::declared::{known_list, non_empty};
use crate::diagnostics::of_error;
use crate::dr_run::plan_name;
use crate::dr_status::look;
use crate::duration::duration;
use crate::lookup::expect_federation;
use crate::session::Session;
use crate::unknowns::Unknowns;

/// How long a drill may take unless told otherwise.
const TIMEOUT_DEFAULT: &str = "1h";
/// How long an action waits for the end of its drill unless told otherwise: longer than a drill takes.
const WAIT_DEFAULT: Duration = Duration::from_secs(3900);

/// How the plan is proved before it is needed: on a standby a copy is promoted where nobody reaches it,
/// verified, and thrown away.
#[derive(Clone, Model)]
pub(crate) struct DrillPolicyModel {
    /// When, in UTC, as five fields like `30 3 * * 0`: minute, hour, day of the month, month, weekday.
    /// By default only when somebody asks.
    #[attribute(optional)]
    pub(crate) schedule: Attr<String>,
    /// Questions to the copy, for `postgresql`. Tables and indexes are verified with pg_amcheck anyway.
    #[attribute(optional)]
    pub(crate) checks: Attr<Vec<DrillCheckModel>>,
    /// A program that verifies the copy, and its arguments; it ends with 0 if all is well. It finds the
    /// copy's path in `HANSE_DRILL_COPY`, and for `postgresql` what libpq needs, and has no network there.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) command: Attr<Vec<Attr<String>>>,
    /// How long a drill may take, with the copying. Data is copied slowly, unless a quarter of this time
    /// would not do.
    #[attribute(optional, computed, default = TIMEOUT_DEFAULT.to_owned(), validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// A question to the copy.
#[derive(Clone, Model)]
pub(crate) struct DrillCheckModel {
    /// What it is called in the record.
    #[attribute(required)]
    pub(crate) name: Attr<String>,
    /// SQL that yields one row whose first column is true.
    #[attribute(required)]
    pub(crate) sql: Attr<String>,
    /// The database that is asked.
    #[attribute(optional, computed, default = DRILL_DATABASE_DEFAULT.to_owned())]
    pub(crate) database: Attr<String>,
}

/// The latest drill that ended.
#[derive(Clone, Model)]
pub(crate) struct PastDrillModel {
    /// Which one of the plan.
    #[attribute(computed)]
    pub(crate) number: Attr<u64>,
    /// The member cluster that held it.
    #[attribute(computed)]
    pub(crate) member_cluster: Attr<String>,
    /// `passed`, `failed` or `abandoned` (a run began meanwhile).
    #[attribute(computed)]
    pub(crate) outcome: Attr<String>,
    /// Why it did not pass; null: it did.
    #[attribute(computed)]
    pub(crate) trouble: Attr<String>,
    /// How long ago it ended, in seconds.
    #[attribute(computed)]
    pub(crate) age_s: Attr<u64>,
    /// When it ended, in seconds since 1970.
    #[attribute(computed)]
    pub(crate) ended_unix_s: Attr<u64>,
    /// How long a failover takes, in milliseconds: what is predicted, with the promotion as it was
    /// measured; null: the drill got not so far.
    #[attribute(computed)]
    pub(crate) rto_ms: Attr<u64>,
    /// How long the promotion took until a write was committed, in milliseconds, as it was measured;
    /// null: the drill got not so far.
    #[attribute(computed)]
    pub(crate) measured_promotion_ms: Attr<u64>,
    /// How far behind the primary the standby was when the drill began, in bytes; null: not known.
    #[attribute(computed)]
    pub(crate) rpo_bytes: Attr<u64>,
    /// The same as time, in milliseconds; null: not known.
    #[attribute(computed)]
    pub(crate) rpo_ms: Attr<u64>,
    /// Whether its node signed a record of it. `hanse dr records` shows and verifies that.
    #[attribute(computed)]
    pub(crate) signed: Attr<bool>,
}

/// Proves a DR plan: on a standby a copy is promoted where nobody reaches it, verified, and thrown away.
/// The primary gives it neither a connection nor disk. It fails if something is not as it should be.
#[derive(Clone, Model)]
pub(crate) struct DrillModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the DR plan.
    #[attribute(required)]
    pub(crate) plan: Attr<String>,
    /// The member cluster that holds it. By default the standby that would be promoted last.
    #[attribute(optional)]
    pub(crate) on: Attr<String>,
    /// How long to wait for the end, `65m` if left out. The drill goes on after that.
    #[attribute(optional, validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// The action.
pub(crate) struct Drill;

#[async_trait]
impl Action for Drill {
    type Client = Session;
    type Model = DrillModel;
    const TYPE_NAME: &'static str = "hanse_drill";

    async fn plan(&self, cx: &Cx<Session>, config: &DrillModel) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            return cx.defer(DeferReason::ProviderConfigUnknown);
        }
        let snapshot = session.run_snapshot().await?;
        if config.federation.is_known() {
            expect_federation(snapshot, &config.federation)?;
        }
        match config.plan.as_known() {
            Some(text) => plan_name(text).map(|_| ()),
            None => Ok(()),
        }
    }

    async fn invoke(&self, cx: &Cx<Session>, config: DrillModel) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        let federation = session.federation()?;
        expect_federation(session.run_snapshot().await?, &config.federation)?;
        let plan = plan_name(config.plan.as_known().map_or("", String::as_str))?;
        let what = format!("begin a drill of the DR plan `{plan}`");
        let before = look(session, &plan).await?;
        let request_id = client::request_id().map_err(|error| of_error(&what, &error))?;
        let on = config.on.clone().unwrap_or_default();
        let ask = Ask::Drill(run_plan_request::Drill { on });
        let asked = federation.run_plan(&plan, ask, &request_id).await;
        asked.map_err(|error| of_error(&what, &error))?;
        let limit = config.timeout.as_known();
        let limit = limit.and_then(|text| text.parse::<Span>().ok());
        let limit = limit.map_or(WAIT_DEFAULT, |limit| limit.value());
        let goes_on = |summary: String, why: String| {
            let detail = format!(
                "{why}The drill goes on by itself; only the wait for its end was given up. `hanse dr \
                 {plan} --watch` shows how far it is."
            );
            Diagnostics::from(Diagnostic::error(summary, detail))
        };
        let past = tokio::select! {
            () = cx.cancellation().cancelled() => {
                return Err(goes_on("Interrupted".to_owned(), String::new()));
            }
            () = tokio::time::sleep(limit) => {
                let summary = format!("The drill of the DR plan `{plan}` has not ended after {limit:?}");
                return Err(goes_on(summary, String::new()));
            }
            end = federation.follow_drill(&plan, &before, |line| cx.progress(line)) => {
                end.map_err(|error| {
                    let summary = format!("Unable to follow the drill of the DR plan `{plan}`");
                    goes_on(summary, format!("{error}\n"))
                })?
            }
        };
        let said = describe_drill(plan.as_str(), &past);
        if has_passed(&past) {
            cx.progress(said);
            return Ok(());
        }
        let summary = format!("The drill of the DR plan `{plan}` did not pass");
        let detail = format!("{said}. `hanse dr records {plan}` tells more.");
        Err(Diagnostic::error(summary, detail).into())
    }
}

impl DrillPolicyModel {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::DrillPolicy {
        let at = |name| finding::Path::of("drill").attribute(name);
        let checks = unknowns.optional(at("checks"), &self.checks);
        let checks = checks.into_iter().flatten().enumerate();
        proto::DrillPolicy {
            checks: checks
                .map(|(place, check)| check.to_wire(place, unknowns))
                .collect(),
            schedule: unknowns.value(at("schedule"), &self.schedule),
            command: unknowns.list(at("command"), &self.command),
            timeout: unknowns.with_default(
                at("timeout"),
                &self.timeout,
                TIMEOUT_DEFAULT.to_owned(),
            ),
        }
    }
}

impl From<proto::DrillPolicy> for DrillPolicyModel {
    fn from(wire: proto::DrillPolicy) -> Self {
        let checks = wire.checks.into_iter();
        let checks: Vec<_> = checks.map(DrillCheckModel::from).collect();
        Self {
            schedule: non_empty(wire.schedule),
            checks: match checks.is_empty() {
                true => Attr::Null,
                false => Attr::Known(checks),
            },
            command: known_list(wire.command),
            timeout: Attr::Known(wire.timeout),
        }
    }
}

impl DrillCheckModel {
    fn to_wire(&self, place: usize, unknowns: &mut Unknowns) -> proto::DrillCheck {
        let at = |name| {
            let checks = finding::Path::of("drill").attribute("checks");
            checks.index(place).attribute(name)
        };
        let database = DRILL_DATABASE_DEFAULT.to_owned();
        proto::DrillCheck {
            name: unknowns.value_or(at("name"), &self.name, format!("check {place}")),
            sql: unknowns.value_or(at("sql"), &self.sql, "select true".to_owned()),
            database: unknowns.with_default(at("database"), &self.database, database),
        }
    }
}

impl From<proto::DrillCheck> for DrillCheckModel {
    fn from(wire: proto::DrillCheck) -> Self {
        Self {
            name: Attr::Known(wire.name),
            sql: Attr::Known(wire.sql),
            database: Attr::Known(wire.database),
        }
    }
}

impl PastDrillModel {
    /// The latest drill of a plan.
    pub(crate) fn latest(status: &proto::PlanStatus) -> Attr<Self> {
        let now_unix_s = status.now_unix_s;
        let past = status.drills.last().cloned();
        Attr::from(past.map(|past| Self {
            number: Attr::Known(past.number),
            member_cluster: non_empty(past.member_cluster),
            outcome: non_empty(past.outcome),
            trouble: non_empty(past.trouble),
            age_s: Attr::Known(now_unix_s.saturating_sub(past.ended_unix_s)),
            ended_unix_s: Attr::Known(past.ended_unix_s),
            rto_ms: Attr::from(past.rto_ms),
            measured_promotion_ms: Attr::from(past.promotion_ms),
            rpo_bytes: Attr::from(past.lag_bytes),
            rpo_ms: Attr::from(past.lag_ms),
            signed: Attr::Known(past.signed),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_drill_is_by_the_federations_time() {
        let mut status = proto::PlanStatus {
            now_unix_s: 1000,
            ..Default::default()
        };
        assert!(PastDrillModel::latest(&status).is_null());
        for ended_unix_s in [700, 940] {
            status.drills.push(proto::PastDrill {
                ended_unix_s,
                outcome: "passed".into(),
                ..Default::default()
            });
        }
        let latest = PastDrillModel::latest(&status);
        let latest = latest.as_known().unwrap();
        assert_eq!(latest.age_s, Attr::Known(60));
        assert_eq!(
            (&latest.trouble, &latest.rto_ms),
            (&Attr::Null, &Attr::Null)
        );
    }

    #[test]
    fn what_is_declared_is_read_back_as_it_was() {
        let wire = proto::DrillPolicy {
            schedule: "30 3 * * 0".into(),
            checks: vec![proto::DrillCheck {
                name: "orders".into(),
                sql: "select true".into(),
                database: "shop".into(),
            }],
            command: vec!["verify".into()],
            timeout: "2h".into(),
        };
        let model = DrillPolicyModel::from(wire.clone());
        assert_eq!(model.to_wire(&mut Unknowns::default()), wire);
    }
}
