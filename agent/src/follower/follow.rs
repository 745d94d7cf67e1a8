//! The loop: connect, take plans, report; connect again when the connection is lost.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hanse_client::proto::{self, follow_event::Event};
use hanse_client::{Client, Clock, Credentials};
use hanse_core::mesh::PlanDigest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::capacity::Gauge;
use super::hands::Hands;
use super::held::{Held, Unusable};
use super::pace::Pace;
use super::reporter::Reporter;
use super::voters::Voters;
use super::{capacity, plan_file, report};
use crate::copies::{self, Told};
use crate::data::{DataError, DataFolder, QUEUE_SIZE_DEFAULT};

/// How often to report before a plan says so, and the bounds of what a plan may say.
const REPORT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const REPORT_INTERVAL_MIN: Duration = Duration::from_millis(200);
const REPORT_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// What is known of who the node is, whom it trusts and what time it is.
#[derive(Debug, Clone)]
pub struct Known {
    /// The newest credentials.
    pub credentials: watch::Receiver<Arc<Credentials>>,
    /// By which certificates are judged.
    pub clock: Arc<dyn Clock>,
    /// Where to say whom the federation trusts.
    pub trust: watch::Sender<Option<proto::TrustBundle>>,
    /// Where to say what the node is to the voters.
    pub duty: watch::Sender<Option<proto::VoterDuty>>,
    /// Why the node is not what it is to be to the voters, for its reports.
    pub complaint: watch::Sender<Option<String>>,
    /// Where to say what the node's copies of workloads have to be.
    pub copies: watch::Sender<Arc<Told>>,
}

/// Follows the node's plan.
pub struct Follower<H> {
    folder: DataFolder,
    voters: Arc<Voters>,
    identity: Known,
    hands: Arc<H>,
    gauge: Arc<Mutex<Option<Gauge>>>,
    backlog: Backlog,
    boot_id: String,
    /// The plan that is in the data plane's hands.
    held: Option<Held>,
    /// Whether it is in the file too.
    is_kept: bool,
    /// Whether this agent and the voter read plans alike.
    takes_changes: bool,
}

impl<H: Hands> Follower<H> {
    /// A follower, with the plan that was kept last in effect already.
    #[must_use]
    pub fn new(folder: DataFolder, voters: Arc<Voters>, identity: Known, hands: Arc<H>) -> Self {
        let gauge = Arc::new(Mutex::new(Gauge::new(folder.clone())));
        let boot_id = report::boot_id();
        let backlog = Backlog::open(&folder, QUEUE_SIZE_DEFAULT);
        let mut follower = Self {
            folder,
            voters,
            identity,
            hands,
            gauge,
            backlog,
            boot_id,
            held: None,
            is_kept: false,
            takes_changes: true,
        };
        match plan_file::read(&follower.folder) {
            Ok(Some(plan)) => {
                tracing::info!(revision = plan.revision, "going by the plan that was kept");
                match Held::whole(&plan) {
                    Ok(held) => {
                        follower.put_into_effect(held);
                        follower.is_kept = true;
                    }
                    Err(error) => tracing::warn!(%error, "unable to go by it"),
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "unable to go by the plan that was kept"),
        }
        follower
    }

    /// The same, which keeps so many changes while the federation is out of reach.
    #[must_use]
    pub fn keeping(mut self, max_queue_size: usize) -> Self {
        self.backlog = self.backlog.with_room_for(max_queue_size);
        self
    }

    /// Follows until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pace = Pace::new();
        tokio::spawn(self.backlog.clone().run(
            self.hands.observe(),
            self.gauge.clone(),
            self.identity.clock.clone(),
            stop.clone(),
        ));
        loop {
            let began = Instant::now();
            let Some(ended) = stop.run_until_cancelled(self.follow_once()).await else {
                return;
            };
            // Certificates that live for seconds must not keep a node away for longer and longer.
            if ended.is_ok() {
                pace.begin_anew();
            }
            let pause = pace.after(began.elapsed());
            self.voters.note(ended.is_ok());
            self.backlog.lost();
            match ended {
                Ok(()) => tracing::info!("connecting again with the new certificate"),
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    pause_ms = pause.as_millis(),
                    "the federation is out of reach"
                ),
            }
            let pause = tokio::time::sleep(pause);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// One connection's life. Ends well only for a new certificate.
    async fn follow_once(&mut self) -> anyhow::Result<()> {
        let credentials = self.identity.credentials.borrow_and_update().clone();
        let clock = self.identity.clock.clone();
        let client = Client::connect_by(&self.voters.to_try(), &credentials, clock).await?;
        let client = client.with_patience(Duration::ZERO);
        let mut events = client.follow(self.request()).await?;
        tracing::info!("following the federation");
        let (interval, intervals) = watch::channel(self.report_interval());
        let reporter = Reporter {
            client: client.clone(),
            observations: self.hands.observe(),
            credentials: self.identity.credentials.clone(),
            clock: self.identity.clock.clone(),
            intervals,
            backlog: self.backlog.clone(),
            complaint: self.identity.complaint.subscribe(),
            gauge: self.gauge.clone(),
            boot_id: self.boot_id.clone(),
        };
        let reporting = reporter.run();
        tokio::pin!(reporting);
        let mut pace = Pace::new();
        let mut began = None;
        loop {
            tokio::select! {
                event = events.message() => {
                    let event = event.map_err(|status| hanse_client::client::failure(&status))?;
                    if let Some(event) = event {
                        self.take(event)?;
                        let now = self.report_interval();
                        interval.send_if_modified(|before| std::mem::replace(before, now) != now);
                        continue;
                    }
                    // It ended well, as after a large plan: on from there, and the second time
                    // not at once.
                    if let Some(began) = began.replace(Instant::now()) {
                        tokio::time::sleep(pace.after(began.elapsed())).await;
                    }
                    events = client.follow(self.request()).await?;
                }
                error = &mut reporting => return Err(error.into()),
                () = renewed(&mut self.identity.credentials, &credentials) => return Ok(()),
            }
        }
    }

    /// What is asked for: what is other than in the plan that is here.
    fn request(&self) -> proto::FollowRequest {
        let held = self.held.as_ref();
        let digest = held.map(|held| held.digest().to_bytes().to_vec());
        proto::FollowRequest {
            from_revision: held.map_or(0, |held| held.revision),
            plan_digest: digest.unwrap_or_default(),
            takes_changes: self.takes_changes,
        }
    }

    /// Takes what a voter sends. An error: the node needs a whole plan instead.
    fn take(&mut self, event: proto::FollowEvent) -> Result<(), Unusable> {
        if let Some(voters) = &event.voters {
            self.voters.learn(&voters.endpoints);
        }
        if let Some(trust) = &event.trust {
            self.identity.trust.send_replace(Some(trust.clone()));
        }
        if let Some(duty) = &event.duty {
            self.identity.duty.send_replace(Some(duty.clone()));
        }
        if let Some(copies) = &event.copies {
            copies::take(&self.folder, &self.identity.copies, copies);
        }
        match event.event {
            Some(Event::Plan(plan)) => {
                let compacted = event.compacted;
                tracing::info!(revision = plan.revision, compacted, "a plan came");
                match Held::whole(&plan) {
                    Ok(held) => {
                        self.compare_readings(&held, &event.plan_digest);
                        let is_same = |before: &Held| {
                            before.plan == held.plan
                                && before.report_interval_ms == held.report_interval_ms
                        };
                        // Only a plan that says something new is worth the write.
                        self.is_kept &= self.held.as_ref().is_some_and(is_same);
                        self.keep(held);
                    }
                    Err(error) => tracing::error!(%error, "the last plan stays"),
                }
                Ok(())
            }
            Some(Event::Change(change)) => {
                // What does not fit leaves no plan here: the data plane goes on with the last one.
                let held = self.held.take();
                let mut held = held.ok_or_else(|| Unusable::Misfit("there is none".to_owned()))?;
                let is_other =
                    !is_empty(&change) || held.report_interval_ms != change.report_interval_ms;
                held.change(&change, &event.plan_digest)?;
                tracing::info!(revision = held.revision, "a change of the plan came");
                self.is_kept &= !is_other;
                self.keep(held);
                Ok(())
            }
            Some(Event::UnchangedUntilRevision(revision)) => {
                self.acknowledge(revision);
                Ok(())
            }
            // Something that a newer voter says and that is not of a plan.
            None => Ok(()),
        }
    }

    /// A voter of another version may mean more by a plan than this agent reads. Then a difference
    /// never has the right digest, and whole plans must do.
    fn compare_readings(&mut self, held: &Held, digest: &[u8]) {
        if PlanDigest::from_bytes(digest).is_some_and(|it| it != held.digest()) {
            tracing::warn!(
                "the voter reads plans otherwise; only whole ones are taken from now on"
            );
            self.takes_changes = false;
        }
    }

    /// Puts a plan that came into effect, and on the disk.
    fn keep(&mut self, held: Held) {
        let revision = held.revision;
        let plan = (!self.is_kept).then(|| held.to_proto());
        self.put_into_effect(held);
        let Some(plan) = plan else {
            return;
        };
        // At once, although it waits for the disk: whoever stops the agent finds it written.
        match plan_file::write(&self.folder, &plan) {
            Ok(()) => self.is_kept = true,
            Err(error) => log_unkept(revision, &error),
        }
    }

    fn put_into_effect(&mut self, held: Held) {
        if let Some(gauge) = capacity::lock(&self.gauge).as_mut() {
            gauge.set_bounds(held.plan.cluster.clone(), held.plan.limits.clone());
        }
        self.hands.set_plan(held.revision, held.plan.meshes.clone());
        self.held = Some(held);
    }

    fn acknowledge(&mut self, revision: u64) {
        if let Some(held) = &mut self.held {
            held.revision = revision;
        }
        self.hands.acknowledge(revision);
    }

    fn report_interval(&self) -> Duration {
        match self.held.as_ref().map(|held| held.report_interval_ms) {
            None | Some(0) => REPORT_INTERVAL_DEFAULT,
            Some(interval_ms) => Duration::from_millis(interval_ms.into())
                .clamp(REPORT_INTERVAL_MIN, REPORT_INTERVAL_MAX),
        }
    }
}

fn is_empty(change: &proto::PlanChange) -> bool {
    change.terms.is_none() && change.meshes.is_empty() && change.meshes_removed.is_empty()
}

/// Waits for another certificate than the one that a connection was made with. Other authorities to
/// trust are no reason to connect again.
async fn renewed(credentials: &mut watch::Receiver<Arc<Credentials>>, current: &Credentials) {
    let is_new = |seen: &Arc<Credentials>| seen.chain().first() != current.chain().first();
    if credentials.wait_for(is_new).await.is_err() {
        pending::<()>().await;
    }
    credentials.mark_changed();
}

fn log_unkept(revision: u64, error: &DataError) {
    tracing::error!(revision, %error, "the plan is in effect but can't be kept for the next start");
}

#[cfg(test)]
mod tests {
    use hanse_client::convert;
    use hanse_core::mesh::NodeDifference;
    use hanse_dataplane::Observation;
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

    fn follower(folder: &DataFolder) -> Follower<Idle> {
        let (_sender, credentials) = watch::channel(credentials());
        let voters = Arc::new(Voters::learning(folder.clone(), Vec::new()));
        let known = Known {
            credentials,
            clock: Arc::new(hanse_client::WallClock),
            trust: watch::channel(None).0,
            duty: watch::channel(None).0,
            complaint: watch::channel(None).0,
            copies: watch::channel(Default::default()).0,
        };
        Follower::new(folder.clone(), voters, known, Arc::new(Idle))
    }

    fn plan(revision: u64) -> proto::NodePlan {
        proto::NodePlan {
            revision,
            node: "home-1".into(),
            member_cluster: "home".into(),
            ..Default::default()
        }
    }

    fn event(event: Event, digest: Vec<u8>) -> proto::FollowEvent {
        proto::FollowEvent {
            event: Some(event),
            plan_digest: digest,
            ..Default::default()
        }
    }

    #[test]
    fn a_plan_that_could_not_be_kept_is_kept_when_it_comes_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        let mut follower = follower(&folder);
        std::fs::create_dir(folder.plan()).unwrap();
        follower.keep(Held::whole(&plan(7)).unwrap());
        std::fs::remove_dir(folder.plan()).unwrap();
        follower.keep(Held::whole(&plan(7)).unwrap());
        assert_eq!(plan_file::read(&folder).unwrap(), Some(plan(7)));
    }

    #[test]
    fn a_difference_that_does_not_fit_changes_nothing_and_makes_the_node_ask_for_a_whole_plan() {
        let parent = tempfile::tempdir().unwrap();
        let mut follower = follower(&DataFolder::new(parent.path()));
        let whole = event(Event::Plan(plan(7)), Vec::new());
        follower.take(whole.clone()).unwrap();
        let request = follower.request();
        assert!(request.takes_changes && request.plan_digest.len() == 16);
        assert_eq!(request.from_revision, 7);
        let change = convert::plan_change_to_proto(&NodeDifference::default(), 7, 8, 0);
        let change = event(Event::Change(change), vec![1; 16]);
        follower.take(change).unwrap_err();
        let request = follower.request();
        assert!(request.takes_changes && request.plan_digest.is_empty());
        follower.take(whole).unwrap();
        assert_eq!(follower.request().from_revision, 7);
    }

    #[test]
    fn from_a_voter_that_reads_plans_otherwise_only_whole_ones_are_taken() {
        let parent = tempfile::tempdir().unwrap();
        let mut follower = follower(&DataFolder::new(parent.path()));
        let newer = event(Event::Plan(plan(7)), vec![1; 16]);
        follower.take(newer).unwrap();
        assert!(follower.held.is_some(), "it counts all the same");
        assert!(!follower.request().takes_changes);
    }
}
