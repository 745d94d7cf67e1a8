//! What the tests of DR plans share: two sites, a plan between them, and a wait for how it is.

use std::time::Duration;

use hanse_client::{Client, proto};
use hanse_core::object::DrPlan;
use hanse_core::object::dr_plan::{Failback, Postgresql, Workload};

use super::harness::{FEDERATION, Federation, cluster, mesh};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A federation with the sites `home` and `away`, and its administrator.
pub(crate) async fn two_sites() -> (Federation, Client) {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let objects = [cluster("home"), cluster("away"), mesh(&["home", "away"])];
    for (id, object) in objects.iter().enumerate() {
        admin.apply(object, 0, &format!("site-{id}")).await.unwrap();
    }
    (federation, admin)
}

/// A plan of a server on `db-home`, with a standby on `db-away`, and nothing that is not needed.
pub(crate) fn orders() -> DrPlan {
    DrPlan {
        federation: FEDERATION.parse().unwrap(),
        name: "orders".parse().unwrap(),
        home: "home".parse().unwrap(),
        standbys: vec!["away".parse().unwrap()],
        nodes: ["home", "away"]
            .map(|site| (site.parse().unwrap(), format!("db-{site}").parse().unwrap()))
            .into(),
        workload: Workload::Postgresql(Postgresql {
            data_directory: "/var/lib/postgresql/15/main".to_owned(),
            port: 5432,
            bin_directory: None,
        }),
        replication: None,
        preset: None,
        timings: None,
        rpo: None,
        rto: None,
        automatic_failover: false,
        failback: Failback::Manual,
        max_lag_on_failover: "1MiB".parse().unwrap(),
        fencing: Default::default(),
        accept_pause_risk: false,
        service_address: None,
        dns: None,
        route53: None,
        drill: None,
        hooks: Default::default(),
        backup: None,
    }
}

/// What is said beside a plan and never shown.
pub(crate) fn secret(purpose: &str, value: &str) -> Vec<proto::PlanSecretValue> {
    vec![proto::PlanSecretValue {
        purpose: purpose.to_owned(),
        value: value.as_bytes().to_vec(),
    }]
}

/// What a node tells of its copy.
pub(crate) fn copy(role: &str, epoch: u64) -> proto::CopyStatus {
    proto::CopyStatus {
        plan: "orders".to_owned(),
        role: role.to_owned(),
        epoch,
        ..Default::default()
    }
}

/// Lets the plan's first run happen, by what the primary's node tells. Yields the plan after it.
pub(crate) async fn start(admin: &Client, primary: &Client) -> proto::PlanStatus {
    // The copy has its node: what was told before is of nobody.
    until(admin, |status| status.waits_for.contains("no data yet")).await;
    let stopped = copy("stopped", 0);
    primary.report_copy(stopped, None, 0).await.unwrap();
    let promoted = until(admin, |status| status.fence_epoch > 0).await;
    let leads = copy("primary", promoted.fence_epoch);
    primary.report_copy(leads, None, 0).await.unwrap();
    until(admin, |status| status.past.is_some()).await
}

/// The plan, once it is as wanted.
pub(crate) async fn until(
    admin: &Client,
    is_wanted: impl Fn(&proto::PlanStatus) -> bool,
) -> proto::PlanStatus {
    let (mut version, mut last) = (0, String::new());
    let looking = async {
        loop {
            let answer = admin.plan_status(None, version, PATIENCE).await.unwrap();
            version = answer.version;
            last = format!("{:?}", answer.plans);
            if let Some(status) = answer.plans.into_iter().find(&is_wanted) {
                return status;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("it did not come; last: {last}"))
}
