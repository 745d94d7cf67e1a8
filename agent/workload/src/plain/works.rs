//! What the keeper needs to know of one kind of workload.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use hanse_core::dr::duty::{CopyPlan, Duty};

use super::memory::{Memory, Of};
use crate::call::PATH;
use crate::setup::Setup;
use crate::trouble::Trouble;
use crate::user::User;

/// One kind of workload. Every operation may be cut off at any instant, and called again.
#[async_trait]
pub(crate) trait Works: Send + Sync + Sized + 'static {
    /// Finds it as the plan has it.
    fn find(setup: &Setup, plan: &CopyPlan) -> Result<Self, Trouble>;

    /// What this is a copy of.
    fn of(&self) -> Of;

    /// What writes, where the plan names it: it runs under the guard.
    fn writer(&self) -> Option<&Writer>;

    /// How often it is copied.
    fn interval(&self) -> Duration;

    /// Makes what is missing where the workload begins.
    async fn prepare(&self, at: &Situation<'_>) -> Result<(), Trouble>;

    /// Brings a standby to where the primary is.
    async fn receive(&self, at: &Situation<'_>) -> Result<Received, Trouble>;

    /// Puts what the primary has to where standbys get it, and says how far it is.
    async fn publish(&self, at: &Situation<'_>) -> Result<u64, Trouble>;

    /// Says how far this copy is.
    async fn measure(&self, at: &Situation<'_>) -> Result<u64, Trouble>;

    /// Makes this copy one that is written to.
    async fn promote(&self, at: &Situation<'_>) -> Result<(), Trouble>;

    /// Makes it one that is not, and that nothing reaches any more.
    async fn demote(&self, at: &Situation<'_>) -> Result<(), Trouble>;
}

/// A program that writes.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) command: Vec<String>,
    pub(crate) stop_max: Duration,
    pub(crate) user: User,
}

/// What a standby has after it received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// The lease under which it was written.
    pub(crate) branch: u64,
    pub(crate) offset_bytes: u64,
}

/// What an operation is told.
pub(crate) struct Situation<'a> {
    pub(crate) plan: &'a CopyPlan,
    pub(crate) memory: &'a Memory,
}

impl Situation<'_> {
    /// The lease that all of this is about.
    pub(crate) fn epoch(&self) -> u64 {
        match &self.plan.duty {
            Duty::Lead { epoch, .. } | Duty::Follow { epoch, .. } => *epoch,
            Duty::Wait | Duty::Detach { .. } | Duty::Stop { .. } => {
                self.memory.epoch.max(self.memory.follows)
            }
        }
    }

    /// What this copy is to be, in one word.
    pub(crate) fn role(&self) -> &'static str {
        match &self.plan.duty {
            Duty::Wait => "waiting",
            Duty::Lead { .. } => "primary",
            Duty::Follow { .. } => "standby",
            Duty::Detach { .. } => "detached",
            Duty::Stop { .. } => "stopped",
        }
    }

    fn primary_address(&self) -> Option<IpAddr> {
        let of = |node| self.plan.places.get(node)?.address;
        match &self.plan.duty {
            Duty::Follow { primary, .. } => of(primary),
            Duty::Detach { .. } => self.memory.primary.as_ref().and_then(of),
            Duty::Lead { .. } | Duty::Wait | Duty::Stop { .. } => {
                let mut places = self.plan.places.values();
                places
                    .find(|place| place.cluster == self.plan.cluster)?
                    .address
            }
        }
    }

    /// What a user's program finds in its environment.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let text = |address: Option<IpAddr>| address.map(|it| it.to_string()).unwrap_or_default();
        let service = self.plan.service.as_ref().map(|service| service.address);
        [
            ("HANSE_PLAN", self.plan.plan.to_string()),
            ("HANSE_CLUSTER", self.plan.cluster.to_string()),
            ("HANSE_ROLE", self.role().to_owned()),
            ("HANSE_EPOCH", self.epoch().to_string()),
            ("HANSE_PRIMARY_ADDRESS", text(self.primary_address())),
            ("HANSE_SERVICE_ADDRESS", text(service)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The same for the program that writes, which has no other environment.
    pub(crate) fn environment_of_writer(
        &self,
        writer: &Writer,
        epoch: u64,
    ) -> BTreeMap<String, String> {
        let mut all = self.environment();
        all.remove("HANSE_PRIMARY_ADDRESS");
        all.extend(
            [
                ("HANSE_ROLE", "primary"),
                ("HANSE_EPOCH", &epoch.to_string()),
                ("HOME", &writer.user.home),
                ("LC_ALL", "C.UTF-8"),
                ("PATH", PATH),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        all
    }
}

/// A user that the plan names.
pub(crate) fn user(name: &str) -> Result<User, Trouble> {
    User::find(name).ok_or_else(|| {
        Trouble(format!(
            "there is no user {name} on this host: run `useradd --system {name}`, or name another"
        ))
    })
}
