//! The loop: connect, take plans, report; connect again when the connection is lost.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hanse_client::convert;
use hanse_client::proto::{self, follow_event::Event};
use hanse_client::{Client, ClientError, Credentials};
use hanse_core::endpoint::Endpoint;
use hanse_dataplane::Observation;
use rand::Rng as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::capacity::{Gauge, Measurement};
use super::hands::Hands;
use super::{plan_file, report};
use crate::data::{DataError, DataFolder};

/// The first pause before connecting again; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Observations that come together are reported together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often to report before a plan says so, and the bounds of what a plan may say.
const REPORT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const REPORT_INTERVAL_MIN: Duration = Duration::from_millis(200);
const REPORT_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// Follows the node's plan.
pub struct Follower<H> {
    folder: DataFolder,
    endpoints: Vec<Endpoint>,
    credentials: watch::Receiver<Arc<Credentials>>,
    hands: Arc<H>,
    gauge: Arc<Mutex<Option<Gauge>>>,
    boot_id: String,
    /// The plan that is in the data plane's hands.
    plan: Option<proto::NodePlan>,
    /// Whether it is in the file too.
    is_kept: bool,
}

impl<H: Hands> Follower<H> {
    /// A follower, with the plan that was kept last in effect already.
    #[must_use]
    pub fn new(
        folder: DataFolder,
        endpoints: Vec<Endpoint>,
        credentials: watch::Receiver<Arc<Credentials>>,
        hands: Arc<H>,
    ) -> Self {
        let gauge = Arc::new(Mutex::new(Gauge::new(folder.clone())));
        let boot_id = report::boot_id();
        let mut follower = Self {
            folder,
            endpoints,
            credentials,
            hands,
            gauge,
            boot_id,
            plan: None,
            is_kept: false,
        };
        match plan_file::read(&follower.folder) {
            Ok(Some(plan)) => {
                tracing::info!(revision = plan.revision, "going by the plan that was kept");
                follower.is_kept = follower.take(plan);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "unable to go by the plan that was kept"),
        }
        follower
    }

    /// Follows until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = PAUSE_FIRST;
        loop {
            let before = self.plan.as_ref().map(|plan| plan.revision);
            let Some(ended) = stop.run_until_cancelled(self.follow_once()).await else {
                return;
            };
            match ended {
                Ok(()) => tracing::info!("connecting again with the new certificate"),
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "the federation is out of reach"
                ),
            }
            if self.plan.as_ref().map(|plan| plan.revision) != before {
                pause = PAUSE_FIRST;
            }
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            if stop
                .run_until_cancelled(tokio::time::sleep(jittered))
                .await
                .is_none()
            {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One connection's life. Ends well only for a new certificate.
    async fn follow_once(&mut self) -> anyhow::Result<()> {
        let credentials = self.credentials.borrow_and_update().clone();
        let client = Client::connect(&self.endpoints, &credentials).await?;
        let client = client.with_patience(Duration::ZERO);
        let from_revision = self.plan.as_ref().map_or(0, |plan| plan.revision);
        let mut events = client.follow(from_revision).await?;
        tracing::info!("following the federation");
        let (interval, intervals) = watch::channel(self.report_interval());
        let reporter = Reporter {
            client,
            observations: self.hands.observe(),
            intervals,
            gauge: self.gauge.clone(),
            boot_id: self.boot_id.clone(),
        };
        let reporting = reporter.run();
        tokio::pin!(reporting);
        loop {
            tokio::select! {
                event = events.message() => {
                    let event = event.map_err(|status| hanse_client::client::failure(&status))?;
                    let event = event.and_then(|event| event.event);
                    match event {
                        Some(Event::Plan(plan)) => self.keep(plan),
                        Some(Event::UnchangedUntilRevision(revision)) => {
                            self.hands.acknowledge(revision);
                        }
                        None => anyhow::bail!("the voter ended the stream"),
                    }
                    interval.send_replace(self.report_interval());
                }
                error = &mut reporting => return Err(error.into()),
                () = renewed(&mut self.credentials) => return Ok(()),
            }
        }
    }

    /// Puts a plan that came into effect, and on the disk.
    fn keep(&mut self, plan: proto::NodePlan) {
        tracing::info!(revision = plan.revision, "a plan came");
        let contents = |plan: &proto::NodePlan| proto::NodePlan {
            revision: 0,
            ..plan.clone()
        };
        let is_new = self.plan.as_ref().map(contents) != Some(contents(&plan));
        let revision = plan.revision;
        if !self.take(plan) {
            return;
        }
        // Only a plan that says something new is worth the write.
        self.is_kept &= !is_new;
        let unkept = self.plan.as_ref().filter(|_| !self.is_kept);
        match unkept.map(|plan| plan_file::write(&self.folder, plan)) {
            Some(Err(error)) => log_unkept(revision, &error),
            Some(Ok(())) => self.is_kept = true,
            None => {}
        }
    }

    /// Hands a plan over; a plan that can't be understood changes nothing.
    fn take(&mut self, plan: proto::NodePlan) -> bool {
        match convert::node_plan_from_proto(&plan) {
            Ok(read) => {
                if let Some(gauge) = lock(&self.gauge).as_mut() {
                    gauge.set_bounds(read.cluster, read.limits);
                }
                self.hands.set_plan(plan.revision, read.meshes);
                self.plan = Some(plan);
                true
            }
            Err(findings) => {
                let reason = findings
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::error!(%reason, "the plan can't be understood; the last one stays");
                false
            }
        }
    }

    fn report_interval(&self) -> Duration {
        match self.plan.as_ref().map(|plan| plan.report_interval_ms) {
            None | Some(0) => REPORT_INTERVAL_DEFAULT,
            Some(interval_ms) => Duration::from_millis(interval_ms.into())
                .clamp(REPORT_INTERVAL_MIN, REPORT_INTERVAL_MAX),
        }
    }
}

/// Reports at intervals and on news.
struct Reporter {
    client: Client,
    observations: watch::Receiver<Observation>,
    intervals: watch::Receiver<Duration>,
    gauge: Arc<Mutex<Option<Gauge>>>,
    boot_id: String,
}

impl Reporter {
    /// Ends only with an error.
    async fn run(mut self) -> ClientError {
        loop {
            let observation = self.observations.borrow_and_update().clone();
            let measured = self.measure().await;
            let now = SystemTime::now();
            let status = report::status(&observation, measured, &self.boot_id, now);
            if let Err(error) = self.client.report(status).await {
                return error;
            }
            let interval = *self.intervals.borrow_and_update();
            let deadline = tokio::time::sleep(interval);
            tokio::select! {
                () = deadline => {}
                Ok(()) = self.intervals.changed() => {}
                () = news(&mut self.observations, &observation) => {
                    tokio::time::sleep(DEBOUNCE).await;
                }
            }
        }
    }

    async fn measure(&self) -> Measurement {
        let gauge = self.gauge.clone();
        let measured =
            tokio::task::spawn_blocking(move || lock(&gauge).as_mut().map(Gauge::measure));
        measured.await.ok().flatten().unwrap_or_default()
    }
}

fn lock(gauge: &Mutex<Option<Gauge>>) -> MutexGuard<'_, Option<Gauge>> {
    gauge.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for an observation that is worth a report of its own.
async fn news(observations: &mut watch::Receiver<Observation>, told: &Observation) {
    let news = observations
        .wait_for(|seen| report::is_news(told, seen))
        .await
        .is_ok();
    if !news {
        // The data plane is gone: nothing new will come.
        pending::<()>().await;
    }
}

async fn renewed(credentials: &mut watch::Receiver<Arc<Credentials>>) {
    if credentials.changed().await.is_err() {
        pending::<()>().await;
    }
    credentials.mark_changed();
}

fn log_unkept(revision: u64, error: &DataError) {
    tracing::error!(revision, %error, "the plan is in effect but can't be kept for the next start");
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::identity::Authority;

    struct Idle;

    impl Hands for Idle {
        fn set_plan(&self, _: u64, _: Vec<hanse_core::mesh::MeshPlan>) {}
        fn acknowledge(&self, _: u64) {}
        fn observe(&self) -> watch::Receiver<Observation> {
            watch::channel(Observation::default()).1
        }
    }

    fn credentials() -> Arc<Credentials> {
        let uri = "spiffe://acme/cluster/home/node/home-1";
        let identity = hanse_client::Identity::from_uri(uri, None).unwrap();
        let key = KeyPair::generate().unwrap();
        let authority = Authority::generate("acme".parse().unwrap(), 1, 0).unwrap();
        let chain = authority
            .certify_key(&identity, false, 0, Duration::from_secs(60), &key)
            .unwrap();
        let section = |der: &Vec<u8>| hanse_client::credentials::pem_section("CERTIFICATE", der);
        let certificates: String = chain.iter().map(section).collect();
        let pem = format!("{certificates}{}", key.serialize_pem());
        Arc::new(Credentials::from_pem("test", pem.as_bytes()).unwrap())
    }

    #[test]
    fn a_plan_that_could_not_be_kept_is_kept_when_it_comes_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        let (_sender, credentials) = watch::channel(credentials());
        let mut follower = Follower::new(folder.clone(), Vec::new(), credentials, Arc::new(Idle));
        let plan = proto::NodePlan {
            revision: 7,
            node: "home-1".into(),
            member_cluster: "home".into(),
            ..Default::default()
        };
        std::fs::create_dir(folder.plan()).unwrap();
        follower.keep(plan.clone());
        std::fs::remove_dir(folder.plan()).unwrap();
        follower.keep(plan.clone());
        assert_eq!(plan_file::read(&folder).unwrap(), Some(plan));
    }
}
