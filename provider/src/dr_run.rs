//! `hanse_switchover`, `hanse_failover` and `hanse_failback`: actions that move a DR plan's primary
//! and say how far that is until it ends.
//!
//! The run is the federation's. Whoever gives up the wait stops nothing.

use std::marker::PhantomData;
use std::time::Duration;

use hanse_client::plan_run::{describe_past, has_moved};
use hanse_client::proto::run_plan_request::{self, Ask};
use hanse_client::{ClientError, client, proto};
use hanse_core::duration::Span;
use hanse_core::name::PlanName;
use hanse_core::object::ObjectRef;
use terraform_plugin::{
    Action, Attr, Cx, DeferReason, Diagnostic, Diagnostics, Model, Path, async_trait,
};

use crate::diagnostics::of_error;
use crate::dr_status::look;
use crate::duration::duration;
use crate::lookup::{expect_federation, wrong};
use crate::session::Session;

/// How long an action waits for the end of its run unless told otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

/// Moves the primary of a DR plan to a standby in good order: nothing is lost, and writes pause for
/// a moment. It is refused where the primary or that standby is not well.
#[derive(Clone, Model)]
pub(crate) struct SwitchoverModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the DR plan.
    #[attribute(required)]
    pub(crate) plan: Attr<String>,
    /// The member cluster that is to be primary.
    #[attribute(required)]
    pub(crate) to: Attr<String>,
    /// How long to wait for the end, `10m` if left out. The move goes on after that.
    #[attribute(optional, validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// Promotes a standby of a DR plan whose primary is gone. It waits until the old primary is fenced,
/// and no option changes that; it is refused while the primary is well.
#[derive(Clone, Model)]
pub(crate) struct FailoverModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the DR plan.
    #[attribute(required)]
    pub(crate) plan: Attr<String>,
    /// The member cluster that is to be primary. By default whichever standby has most.
    #[attribute(optional)]
    pub(crate) to: Attr<String>,
    /// Whether a standby may be promoted although it lacks more than the plan allows, or nobody knows
    /// how much it lacks. It is written into the audit log.
    #[attribute(optional)]
    pub(crate) allow_data_loss: Attr<bool>,
    /// How long to wait for the end, `10m` if left out. The failover goes on after that.
    #[attribute(optional, validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// Moves the primary of a DR plan back to its home in good order.
#[derive(Clone, Model)]
pub(crate) struct FailbackModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the DR plan.
    #[attribute(required)]
    pub(crate) plan: Attr<String>,
    /// How long to wait for the end, `10m` if left out. The move goes on after that.
    #[attribute(optional, validate = duration)]
    pub(crate) timeout: Attr<String>,
}

/// A move of a plan's primary that somebody asks for.
pub(crate) trait Move: Model {
    /// The action's type.
    const TYPE_NAME: &'static str;
    /// What it is called in a sentence.
    const NOUN: &'static str;

    /// The federation that is asked.
    fn federation(&self) -> &Attr<String>;
    /// The plan's name.
    fn plan(&self) -> &Attr<String>;
    /// How long to wait for the end.
    fn timeout(&self) -> &Attr<String>;
    /// What is asked for.
    fn ask(&self) -> Ask;
}

/// The action of one kind of move.
pub(crate) struct RunAction<M>(PhantomData<fn() -> M>);

impl<M: Move> RunAction<M> {
    /// The action.
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<M: Move> Action for RunAction<M> {
    type Client = Session;
    type Model = M;
    const TYPE_NAME: &'static str = M::TYPE_NAME;

    async fn plan(&self, cx: &Cx<Session>, config: &M) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            return cx.defer(DeferReason::ProviderConfigUnknown);
        }
        let snapshot = session.run_snapshot().await?;
        if config.federation().is_known() {
            expect_federation(snapshot, config.federation())?;
        }
        if let Some(text) = config.plan().as_known() {
            let plan = plan_name(text)?;
            if !session.knows(&ObjectRef::DrPlan(plan)) {
                let detail = format!(
                    "No DR plan `{text}` is declared, nor in this run so far. `hanse dr` shows all."
                );
                cx.warn_at(Path::root("plan"), "Unknown DR plan", detail);
            }
        }
        Ok(())
    }

    async fn invoke(&self, cx: &Cx<Session>, config: M) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        let federation = session.federation()?;
        expect_federation(session.run_snapshot().await?, config.federation())?;
        let plan = plan_name(config.plan().as_known().map_or("", String::as_str))?;
        let what = format!("begin the {} of the DR plan `{plan}`", M::NOUN);
        let before = look(session, &plan).await?;
        let request_id = client::request_id().map_err(|error| of_error(&what, &error))?;
        federation
            .run_plan(&plan, config.ask(), &request_id)
            .await
            .map_err(|error| of_error(&what, &error))?;
        let limit = config.timeout().as_known();
        let limit = limit.and_then(|text| text.parse::<Span>().ok());
        let limit = limit.map_or(TIMEOUT_DEFAULT, |limit| limit.value());
        let end = tokio::select! {
            () = cx.cancellation().cancelled() => Err(Cut::Interrupted),
            () = tokio::time::sleep(limit) => Err(Cut::Late(limit)),
            end = federation.follow_run(&plan, &before, |line| cx.progress(line)) => {
                end.map_err(Cut::Failed)
            }
        };
        match end {
            Ok(past) => judge::<M>(cx, &plan, &past),
            // Not the call's own wait: what holds the run up now.
            Err(cut) => Err(goes_on::<M>(&plan, &cut, waits_for(session, &plan).await)),
        }
    }
}

impl Move for SwitchoverModel {
    const TYPE_NAME: &'static str = "hanse_switchover";
    const NOUN: &'static str = "switchover";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn plan(&self) -> &Attr<String> {
        &self.plan
    }

    fn timeout(&self) -> &Attr<String> {
        &self.timeout
    }

    fn ask(&self) -> Ask {
        let to = self.to.clone().unwrap_or_default();
        Ask::Switchover(proto::run_plan_request::Switchover { to })
    }
}

impl Move for FailoverModel {
    const TYPE_NAME: &'static str = "hanse_failover";
    const NOUN: &'static str = "failover";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn plan(&self) -> &Attr<String> {
        &self.plan
    }

    fn timeout(&self) -> &Attr<String> {
        &self.timeout
    }

    fn ask(&self) -> Ask {
        Ask::Failover(run_plan_request::Failover {
            to: self.to.clone().unwrap_or_default(),
            allow_data_loss: self.allow_data_loss.unwrap_or_default(),
        })
    }
}

impl Move for FailbackModel {
    const TYPE_NAME: &'static str = "hanse_failback";
    const NOUN: &'static str = "failback";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn plan(&self) -> &Attr<String> {
        &self.plan
    }

    fn timeout(&self) -> &Attr<String> {
        &self.timeout
    }

    fn ask(&self) -> Ask {
        Ask::Failback(true)
    }
}

/// Why the wait for a run's end was given up.
enum Cut {
    Interrupted,
    Late(Duration),
    Failed(ClientError),
}

/// Tells how a run ended; a failure unless another one is primary.
fn judge<M: Move>(
    cx: &Cx<Session>,
    plan: &PlanName,
    past: &proto::PastPlanRun,
) -> Result<(), Diagnostics> {
    let said = describe_past(plan.as_str(), past);
    if has_moved(past) {
        cx.progress(said);
        return Ok(());
    }
    let summary = format!("The {} of the DR plan `{plan}` moved nothing", M::NOUN);
    let detail = format!("{said}. `hanse dr {plan}` and `hanse events` tell more.");
    Err(Diagnostic::error(summary, detail).into())
}

/// Says that the run is the federation's, and what it waits for.
fn goes_on<M: Move>(plan: &PlanName, cut: &Cut, waits_for: Option<String>) -> Diagnostics {
    let noun = M::NOUN;
    let summary = match cut {
        Cut::Interrupted => "Interrupted".to_owned(),
        Cut::Late(limit) => {
            format!("The {noun} of the DR plan `{plan}` has not ended after {limit:?}")
        }
        Cut::Failed(_) => format!("Unable to follow the {noun} of the DR plan `{plan}`"),
    };
    let why = match cut {
        Cut::Interrupted | Cut::Late(_) => String::new(),
        Cut::Failed(error) => format!("{error}\n"),
    };
    let waits_for = waits_for.map_or_else(String::new, |why| format!(" It waits: {why}."));
    let detail = format!(
        "{why}The {noun} goes on by itself; only the wait for its end was given up.{waits_for} \
         `hanse dr {plan} --watch` shows how far it is."
    );
    Diagnostic::error(summary, detail).into()
}

/// What a plan waits for now, if the federation can be asked.
async fn waits_for(session: &Session, plan: &PlanName) -> Option<String> {
    let asked = tokio::time::timeout(Duration::from_secs(5), look(session, plan));
    let status = asked.await.ok()?.ok()?;
    Some(status.waits_for).filter(|why| !why.is_empty())
}

pub(crate) fn plan_name(text: &str) -> Result<PlanName, Diagnostics> {
    let name = text.parse::<PlanName>();
    name.map_err(|error| wrong("plan", "No name of a DR plan", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanName {
        "orders".parse().unwrap()
    }

    fn failover(change: impl FnOnce(&mut FailoverModel)) -> FailoverModel {
        let mut model = FailoverModel {
            federation: Attr::from("baltic"),
            plan: Attr::from("orders"),
            to: Attr::Null,
            allow_data_loss: Attr::Null,
            timeout: Attr::Null,
        };
        change(&mut model);
        model
    }

    #[test]
    fn a_failover_allows_no_loss_and_names_nobody_unless_told() {
        let asked = |to: &str, allow_data_loss| {
            let to = to.to_owned();
            Ask::Failover(run_plan_request::Failover {
                to,
                allow_data_loss,
            })
        };
        assert_eq!(failover(|_| ()).ask(), asked("", false));
        let told = failover(|model| {
            (model.to, model.allow_data_loss) = (Attr::from("visby"), Attr::Known(true));
        });
        assert_eq!(told.ask(), asked("visby", true));
    }

    #[test]
    fn a_run_that_moved_nothing_is_a_failure_that_says_how_it_ended() {
        let cx = Cx::for_test(None);
        let mut past = proto::PastPlanRun {
            kind: "failover".into(),
            outcome: "moved".into(),
            to: "hamburg".into(),
            ..Default::default()
        };
        assert_eq!(judge::<FailoverModel>(&cx, &plan(), &past), Ok(()));
        past.outcome = "recovered".into();
        let failed = judge::<FailoverModel>(&cx, &plan(), &past).unwrap_err();
        let told = failed.to_string();
        assert!(told.contains("the old primary came back"), "{told}");
    }

    #[test]
    fn whoever_gives_up_the_wait_learns_that_it_goes_on_and_what_it_waits_for() {
        let why = Some("`lubeck-1` may still write".to_owned());
        let late = Cut::Late(Duration::from_secs(60));
        for cut in [Cut::Interrupted, late] {
            let told = goes_on::<FailoverModel>(&plan(), &cut, why.clone()).to_string();
            assert!(told.contains("goes on by itself"), "{told}");
            assert!(told.contains("`lubeck-1` may still write"), "{told}");
        }
    }
}
