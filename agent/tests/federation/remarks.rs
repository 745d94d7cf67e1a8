//! What copies tell for people alone reaches them.

use hanse_client::proto;
use hanse_core::object::Object;

use super::plans::{copy, orders, two_sites, until};

const WARNING: &str = "it listens elsewhere";

/// A copy that warns, and says that it lags.
fn remarks(role: &str) -> proto::CopyStatus {
    proto::CopyStatus {
        lag_s: Some(7),
        warnings: vec![WARNING.to_owned()],
        ..copy(role, 0)
    }
}

fn of<'a>(status: &'a proto::PlanStatus, site: &str) -> &'a proto::CopyView {
    let mut copies = status.copies.iter();
    copies.find(|copy| copy.member_cluster == site).unwrap()
}

fn warnings(copy: &proto::CopyView) -> Vec<String> {
    let told = copy.status.as_ref();
    told.map(|told| told.warnings.clone()).unwrap_or_default()
}

#[tokio::test]
async fn what_copies_tell_for_people_is_shown_and_a_primary_lags_behind_nobody() {
    let (federation, admin) = two_sites().await;
    let (_home, credentials) = federation.join("home", "db-home").await;
    let home = federation.client(&credentials).await;
    let (_away, credentials) = federation.join("away", "db-away").await;
    let away = federation.client(&credentials).await;
    let plan = Object::DrPlan(Box::new(orders()));
    admin.apply(&plan, 0, "plan").await.unwrap();

    // Both copies have their nodes: what was told before is of nobody.
    until(&admin, |status| status.waits_for.contains("no data yet")).await;
    home.report_copy(remarks("stopped"), None, 0).await.unwrap();
    let started = until(&admin, |status| status.fence_epoch > 0).await;
    assert_eq!(of(&started, "home").lag_s, None);
    assert_eq!(warnings(of(&started, "home")), [WARNING]);

    away.report_copy(remarks("following"), None, 0)
        .await
        .unwrap();
    let lags = until(&admin, |status| of(status, "away").lag_s == Some(7)).await;
    assert_eq!(warnings(of(&lags, "away")), [WARNING]);
}
