//! The password of a plan's backups: it is sealed in the state, reaches the node that has a copy, and is
//! shown to nobody. How the backups are is shown to all.

use std::time::Duration;

use hanse_client::proto;
use hanse_core::object::dr_backup::Backup;
use hanse_core::object::{DrPlan, Object};

use super::plans::{PATIENCE, copy, orders, secret, two_sites};

const PASSWORD: &str = "correct-horse-battery-staple";

fn plan() -> Object {
    let backup = Backup {
        repository: "/mnt/backups".parse().unwrap(),
        interval: "6h".parse().unwrap(),
        retention: "168h".parse().unwrap(),
        environment_file: None,
        password_version: 1,
    };
    Object::DrPlan(Box::new(DrPlan {
        backup: Some(backup),
        ..orders()
    }))
}

#[tokio::test]
async fn the_password_reaches_the_node_that_has_a_copy_and_lies_in_the_state_sealed() {
    let (federation, admin) = two_sites().await;
    let (_folder, credentials) = federation.join("home", "db-home").await;
    let node = federation.client(&credentials).await;

    let without = admin.apply(&plan(), 0, "without").await.unwrap_err();
    assert!(
        without.to_string().contains("backup.password_wo"),
        "{without}"
    );
    let plan = plan();
    let short = admin.apply_with(&plan, secret("backup", "too-short"), 0, "short");
    let short = short.await.unwrap_err().to_string();
    assert!(short.contains("16 to 512 bytes"), "{short}");
    assert!(!short.contains("too-short"), "{short}");
    let applied = admin.apply_with(&plan, secret("backup", PASSWORD), 0, "right");
    applied.await.unwrap();

    let state = federation.voter.replica.read();
    let stored = serde_json::to_string(&*state).unwrap();
    assert!(stored.contains("plan/orders/backup/1"));
    assert!(!stored.contains(PASSWORD));
    drop(state);

    let mut status = copy("stopped", 0);
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
    let shown = copies.iter().find(|copy| copy.node == "db-home").unwrap();
    let shown = shown.status.as_ref().unwrap().backup.clone();
    assert_eq!(shown, status.backup);
}
