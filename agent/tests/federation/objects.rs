//! Declaring, reading, deleting: what is acknowledged stays.

use std::time::Duration;

use hanse_agent::server::authorize::Call;
use hanse_agent::server::caller::Caller;
use hanse_client::proto::ObjectKind;
use hanse_client::{ClientError, RefusalKind, Role};
use hanse_core::command::Request;
use hanse_core::object::ObjectRef;

use crate::harness::{Federation, cluster, mesh};

#[tokio::test]
async fn what_is_applied_is_read_back_and_survives_a_restart() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let applied = admin.apply(&cluster("home"), 0, "one").await.unwrap();
    let again = admin.apply(&cluster("home"), 0, "one").await.unwrap();
    assert_eq!(applied.revision, again.revision, "a retry happens once");
    admin.apply(&mesh(&["home"]), 0, "two").await.unwrap();
    let before = admin.snapshot(0, Duration::ZERO).await.unwrap();

    let federation = federation.restart().await;
    let admin = federation.admin().await;
    let after = admin.snapshot(0, Duration::ZERO).await.unwrap();
    assert_eq!(after.inventory, before.inventory);
    let reference = cluster("home").reference();
    assert_eq!(admin.get(&reference).await.unwrap(), Some(applied.stored));
    assert_eq!(admin.list(ObjectKind::VpnMesh).await.unwrap().len(), 1);
    let again = admin.apply(&cluster("home"), 0, "one").await.unwrap();
    assert_eq!(
        applied.revision, again.revision,
        "a retry is remembered over a restart"
    );
}

#[tokio::test]
async fn a_stale_revision_is_refused_and_a_deleted_object_is_gone() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let applied = admin.apply(&cluster("home"), 0, "one").await.unwrap();
    let stale = admin
        .apply(&cluster("home"), applied.stored.revision + 7, "two")
        .await;
    assert!(matches!(
        stale,
        Err(ClientError::Refused {
            kind: RefusalKind::Conflict,
            ..
        })
    ));
    let reference = cluster("home").reference();
    admin
        .delete(&reference, applied.stored.revision, "three")
        .await
        .unwrap();
    assert_eq!(admin.get(&reference).await.unwrap(), None);
}

#[tokio::test]
async fn a_fault_is_reported_at_its_attribute() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let refused = admin
        .apply(&mesh(&["nowhere"]), 0, "one")
        .await
        .unwrap_err();
    let ClientError::Refused { findings, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(findings[0].path.to_string(), "sites[\"nowhere\"]");
}

#[tokio::test]
async fn a_role_reads_or_writes_as_the_table_says() {
    let federation = Federation::start().await;
    for role in [Role::Viewer, Role::Operator] {
        let client = federation.client(&federation.user(role).await).await;
        client.snapshot(0, Duration::ZERO).await.unwrap();
        let refused = client.apply(&cluster("home"), 0, "one").await;
        assert!(
            matches!(refused, Err(ClientError::Forbidden { .. })),
            "{role}: {refused:?}"
        );
    }
    let (_, node) = federation.join("home", "home-2").await;
    let refused = federation
        .client(&node)
        .await
        .snapshot(0, Duration::ZERO)
        .await;
    assert!(
        matches!(refused, Err(ClientError::Forbidden { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_waiting_snapshot_is_answered_by_a_change() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    let first = admin.snapshot(0, Duration::ZERO).await.unwrap();
    let waiting = {
        let admin = admin.clone();
        let version = first.response.version;
        tokio::spawn(async move { admin.snapshot(version, Duration::from_secs(60)).await })
    };
    admin.apply(&cluster("home"), 0, "one").await.unwrap();
    let next = waiting.await.unwrap().unwrap();
    let reference = ObjectRef::MemberCluster("home".parse().unwrap());
    assert!(next.inventory.get(&reference).is_some());
    assert_ne!(next.response.version, first.response.version);
}

#[tokio::test]
async fn the_owner_of_the_folder_needs_no_credentials() {
    let federation = Federation::start().await;
    let socket = federation.folder().socket();
    let owner = hanse_client::Client::connect_local(&socket).await.unwrap();
    owner.apply(&cluster("home"), 0, "one").await.unwrap();
}

#[tokio::test]
async fn a_change_whose_caller_hung_up_is_noted_too() {
    let federation = Federation::start().await;
    let change = Request::Apply {
        object: cluster("home"),
        expected_revision: 0,
        boxes: Vec::new(),
    };
    let mut changes = federation.voter.replica.changes();
    let revision = changes.borrow().revision() + 1;
    {
        let call = federation
            .voter
            .propose(&Caller::Local, Call::Apply, "home", "one", change);
        tokio::pin!(call);
        // Begun, and dropped as the server does when the connection is lost.
        tokio::select! {
            biased;
            _ = &mut call => panic!("the disk cannot be that fast"),
            () = std::future::ready(()) => {}
        }
    }
    changes
        .wait_for(|state| state.revision() == revision)
        .await
        .unwrap();
    let path = federation.folder().audit();
    while !std::fs::read_to_string(&path)
        .unwrap()
        .contains(&format!("committed at {revision}"))
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_mutation_and_every_refusal_is_noted() {
    let federation = Federation::start().await;
    federation
        .admin()
        .await
        .apply(&cluster("home"), 0, "one")
        .await
        .unwrap();
    let viewer = federation
        .client(&federation.user(Role::Viewer).await)
        .await;
    viewer.apply(&cluster("home"), 0, "two").await.unwrap_err();
    let path = federation.folder().audit();
    // The writer is a thread of its own.
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().count() == 3 {
            break text;
        }
        tokio::task::yield_now().await;
    };
    assert!(
        text.contains("spiffe://acme/user/admin") && text.contains("committed at"),
        "{text}"
    );
    assert!(
        text.contains("spiffe://acme/user/alex") && text.contains("refused"),
        "{text}"
    );
}
