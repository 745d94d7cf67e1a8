//! `hanse switchover`, `hanse failover`, `hanse failback`, `hanse pause` and `hanse resume`: what an
//! operator asks of a DR plan.
//!
//! A run is the federation's: whoever stops waiting for its end stops nothing.

use anyhow::Context as _;
use clap::Args;
use hanse_client::client::request_id;
use hanse_client::plan_run::{describe_past, has_moved};
use hanse_client::proto::{self, run_plan_request, run_plan_request::Ask};
use hanse_core::name::{ClusterName, PlanName};
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;

const SWITCHOVER_EXAMPLE: &str = "\
Nothing is lost, and writes pause for a moment. It is refused where the primary or the standby is not
well.

Example:
  hanse switchover orders --to hamburg";

const FAILOVER_EXAMPLE: &str = "\
It is refused while the primary is well: `hanse switchover` loses nothing. It waits until the old
primary is fenced, and says every change of what it waits for; stopping this command stops nothing.
No option overrides the fence or the voters' majority. Where nobody can tell that the old primary
is fenced, make sure that it can't write, and say so:
  hanse dr confirm-fenced orders --holder lubeck-1

Examples:
  hanse failover orders
  hanse failover orders --to visby --allow-data-loss";

const FAILBACK_EXAMPLE: &str = "\
Example:
  hanse failback orders";

const PAUSE_EXAMPLE: &str = "\
The primary goes on, and keeps its lease. What somebody asks for happens all the same.

Example:
  hanse pause orders";

const RESUME_EXAMPLE: &str = "\
Example:
  hanse resume orders";

/// Moves the primary to another site in good order.
#[derive(Debug, Args)]
#[command(after_help = SWITCHOVER_EXAMPLE)]
pub struct Switchover {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// The member cluster that is to be primary
    #[arg(long, value_name = "CLUSTER")]
    to: ClusterName,
    #[command(flatten)]
    waiting: Waiting,
}

/// Promotes a standby because the primary is gone.
#[derive(Debug, Args)]
#[command(after_help = FAILOVER_EXAMPLE)]
pub struct Failover {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// The member cluster that is to be primary; by default whichever has most
    #[arg(long, value_name = "CLUSTER")]
    to: Option<ClusterName>,
    /// Promote although data is missing, or nobody knows how much; it is audited
    #[arg(long)]
    allow_data_loss: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Moves the primary home in good order.
#[derive(Debug, Args)]
#[command(after_help = FAILBACK_EXAMPLE)]
pub struct Failback {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    #[command(flatten)]
    waiting: Waiting,
}

/// Lets nothing happen by itself.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLE)]
pub struct Pause {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    #[command(flatten)]
    asking: Asking,
}

/// Lets things happen by themselves again.
#[derive(Debug, Args)]
#[command(after_help = RESUME_EXAMPLE)]
pub struct Resume {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    #[command(flatten)]
    asking: Asking,
}

/// Whether the end of a run is awaited, and how it is told.
#[derive(Debug, Args)]
struct Waiting {
    /// Return once it has begun
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Who asks, and how the answer is told.
#[derive(Debug, Args)]
pub(super) struct Asking {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Switchover {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let to = self.to.to_string();
        let ask = Ask::Switchover(run_plan_request::Switchover { to });
        self.waiting.begin(&self.plan, ask, "switchover").await
    }
}

impl Failover {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let ask = Ask::Failover(run_plan_request::Failover {
            to: self.to.map(|to| to.to_string()).unwrap_or_default(),
            allow_data_loss: self.allow_data_loss,
        });
        self.waiting.begin(&self.plan, ask, "failover").await
    }
}

impl Failback {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let ask = Ask::Failback(true);
        self.waiting.begin(&self.plan, ask, "failback").await
    }
}

impl Pause {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let done = "nothing happens by itself any more, until `hanse resume`";
        self.asking.once(&self.plan, Ask::Pause(true), done).await
    }
}

impl Resume {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let done = "things happen by themselves again";
        self.asking.once(&self.plan, Ask::Resume(true), done).await
    }
}

impl Waiting {
    /// Begins a run, and says how far it is until it ends.
    async fn begin(self, plan: &PlanName, ask: Ask, noun: &str) -> anyhow::Result<()> {
        let client = self.asking.connection.open().await?;
        let unable = || format!("unable to begin the {noun} of the DR plan `{plan}`");
        let before = client.plan(plan).await.with_context(unable)?;
        let revision = client.run_plan(plan, ask, &request_id()?).await;
        let revision = revision.with_context(unable)?;
        let json = self.asking.json;
        if self.no_wait {
            output::progress(&format!(
                "{plan}: the {noun} has begun; `hanse dr {plan} --watch` shows how far it is"
            ));
            return print(
                json,
                || json!({ "plan": plan.as_str(), "revision": revision }),
            );
        }
        output::progress(&format!(
            "{plan}: the {noun} has begun. Ctrl-C leaves it running; `hanse dr {plan}` shows it."
        ));
        let past = client.follow_run(plan, &before, output::progress).await;
        let past = past.with_context(|| {
            format!(
                "the {noun} goes on; only the wait for its end was given up (`hanse dr {plan}`)"
            )
        })?;
        let said = describe_past(plan.as_str(), &past);
        print(json, || past_to_json(&past))?;
        if !has_moved(&past) {
            anyhow::bail!("{said}");
        }
        output::progress(&said);
        Ok(())
    }
}

impl Asking {
    /// Asks for something that is done once it is committed.
    pub(super) async fn once(self, plan: &PlanName, ask: Ask, done: &str) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        let revision = client.run_plan(plan, ask, &request_id()?).await?;
        output::progress(&format!("{plan}: {done}."));
        print(
            self.json,
            || json!({ "plan": plan.as_str(), "revision": revision }),
        )
    }
}

/// For programs.
pub(super) fn past_to_json(past: &proto::PastPlanRun) -> Value {
    json!({
        "kind": past.kind,
        "outcome": past.outcome,
        "from": past.from,
        "to": past.to,
        "reason": past.reason,
        "began_unix_s": past.began_unix_s,
        "ended_unix_s": past.ended_unix_s,
        "lost_bytes": past.lost_bytes,
    })
}

fn print(json: bool, value: impl FnOnce() -> Value) -> anyhow::Result<()> {
    match json {
        true => output::print_json(&value()),
        false => Ok(()),
    }
}
