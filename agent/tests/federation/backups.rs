//! The password of a plan's backups: it is sealed in the state, reaches the node that has a copy, and is
//! shown to nobody. How the backups are is shown to all.

use std::time::Duration;

use hanse_client::proto;
use hanse_core::object::dr_backup::Backup;
use hanse_core::object::dr_plan::{Failback, Postgresql, Workload};
use hanse_core::object::{DrPlan, Object};

use super::harness::{FEDERATION, Federation, cluster, mesh};

const PASSWORD: &str = "correct-horse-battery-staple";
const PATIENCE: Duration = Duration::from_secs(60);

fn plan() -> Object {
    let backup = Backup {
        repository: "/mnt/backups".parse().unwrap(),
        interval: "6h".parse().unwrap(),
        retention: "168h".parse().unwrap(),
        environment_file: None,
        password_version: 1,
    };
    Object::DrPlan(Box::new(DrPlan {
        federation: FEDERATION.parse().unwrap(),
        name: "orders".parse().unwrap(),
        home: "home".parse().unwrap(),
        standbys: vec!["away".parse().unwrap()],
        nodes: [("home".parse().unwrap(), "db-1".parse().unwrap())].into(),
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
        backup: Some(backup),
    }))
}

fn given(password: &str) -> Vec<proto::PlanSecretValue> {
    vec![proto::PlanSecretValue {
        purpose: "backup".to_owned(),
        value: password.as_bytes().to_vec(),
    }]
}

#[tokio::test]
async fn the_password_reaches_the_node_that_has_a_copy_and_lies_in_the_state_sealed() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    for (id, object) in [cluster("home"), cluster("away"), mesh(&["home", "away"])]
        .iter()
        .enumerate()
    {
        admin.apply(object, 0, &format!("site-{id}")).await.unwrap();
    }
    let (_folder, credentials) = federation.join("home", "db-1").await;
    let node = federation.client(&credentials).await;

    let without = admin.apply(&plan(), 0, "without").await.unwrap_err();
    assert!(
        without.to_string().contains("backup.password_wo"),
        "{without}"
    );
    let plan = plan();
    let short = admin.apply_with(&plan, given("too-short"), 0, "short");
    let short = short.await.unwrap_err().to_string();
    assert!(short.contains("16 to 512 bytes"), "{short}");
    assert!(!short.contains("too-short"), "{short}");
    let applied = admin.apply_with(&plan, given(PASSWORD), 0, "right");
    applied.await.unwrap();

    let state = federation.voter.replica.read();
    let stored = serde_json::to_string(&*state).unwrap();
    assert!(stored.contains("plan/orders/backup/1"));
    assert!(!stored.contains(PASSWORD));
    drop(state);

    let mut status = proto::CopyStatus {
        plan: "orders".to_owned(),
        role: "stopped".to_owned(),
        ..Default::default()
    };
    // The plan's copy is placed a moment after it was declared.
    let told = async {
        loop {
            let answer = node.report_copy(status.clone(), None, 0).await.unwrap();
            if let Some(copies) = answer.filter(|copies| !copies.copies.is_empty()) {
                return copies;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    let backup = told.copies[0].backup.clone().unwrap();
    assert_eq!(backup.password, PASSWORD);
    assert_eq!(backup.declared.unwrap().repository, "/mnt/backups");

    status.backup = Some(proto::BackupStatus {
        count: 3,
        trouble: "its repository is away".to_owned(),
        ..Default::default()
    });
    node.report_copy(status.clone(), None, u64::MAX)
        .await
        .unwrap();
    let shown = admin.plan_status(None, 0, Duration::ZERO).await.unwrap();
    let copies = &shown.plans[0].copies;
    let shown = copies.iter().find(|copy| copy.node == "db-1").unwrap();
    let shown = shown.status.as_ref().unwrap().backup.clone();
    assert_eq!(shown, status.backup);
}
