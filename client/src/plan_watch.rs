//! Looking at a DR plan until what was asked for has ended, and telling what is new meanwhile.

use std::time::Duration;

use hanse_core::admission::RefusalKind;
use hanse_core::finding::{Finding, Path};
use hanse_core::name::PlanName;
use hanse_core::object::ObjectRef;

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;

/// The longest that one look waits for news.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_millis(250);
/// So often a plan that is declared is looked for.
const LOOKS_MAX: usize = 40;

/// Knows the end of what was asked for, and what is new until then.
pub(crate) trait PlanWatch {
    /// How it ended.
    type End;

    /// What is new since the last look, in sentences.
    fn news(&mut self, status: &proto::PlanStatus) -> Vec<String>;

    /// How it ended, if it has.
    fn ended(&self, status: &proto::PlanStatus) -> Option<Self::End>;
}

impl Client {
    /// How one plan is now. A voter that began to lead just now can't tell yet: it is asked again.
    pub async fn plan(&self, plan: &PlanName) -> Result<proto::PlanStatus, ClientError> {
        for _ in 0..LOOKS_MAX {
            let answer = self.plan_status(Some(plan), 0, Duration::ZERO).await?;
            if let Some(status) = of(plan, answer) {
                return Ok(status);
            }
            self.expect_plan(plan).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let reason = format!("no voter tells how the DR plan `{plan}` is");
        Err(ClientError::Unavailable { reason })
    }

    /// Looks at a plan until `watch` sees the end, however long that takes; `tell` hears what is new.
    /// A federation that can't be reached for a while is no reason to give up.
    pub(crate) async fn watch_plan<W: PlanWatch>(
        &self,
        plan: &PlanName,
        mut watch: W,
        mut tell: impl FnMut(&str),
    ) -> Result<W::End, ClientError> {
        let (mut version, mut complaint) = (0, String::new());
        loop {
            let answer = match self.plan_status(Some(plan), version, LOOK_TIMEOUT).await {
                Ok(answer) => answer,
                Err(error) if error.is_transient() => {
                    let said = error.to_string();
                    if complaint != said {
                        tell(&format!("{said}; looking again"));
                        complaint = said;
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            version = answer.version;
            complaint.clear();
            let Some(status) = of(plan, answer) else {
                self.expect_plan(plan).await?;
                continue;
            };
            watch.news(&status).iter().for_each(|line| tell(line));
            if let Some(end) = watch.ended(&status) {
                return Ok(end);
            }
        }
    }

    /// Refuses to go on with a plan that is not declared.
    async fn expect_plan(&self, plan: &PlanName) -> Result<(), ClientError> {
        match self.get(&ObjectRef::DrPlan(plan.clone())).await {
            // Whoever can't be asked says nothing of it.
            Ok(Some(_)) => Ok(()),
            Err(error) if error.is_transient() => Ok(()),
            Err(error) => Err(error),
            Ok(None) => {
                let detail = format!("No DR plan `{plan}` is declared. `hanse dr` shows all.");
                Err(ClientError::Refused {
                    kind: RefusalKind::NotFound,
                    findings: vec![Finding::error(Path::root(), "Unknown DR plan", detail)],
                })
            }
        }
    }
}

/// The one plan that was asked for, if it is told of.
fn of(plan: &PlanName, answer: proto::PlanStatusResponse) -> Option<proto::PlanStatus> {
    let mut plans = answer.plans.into_iter();
    plans.find(|status| status.plan == plan.as_str())
}
