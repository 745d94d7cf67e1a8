//! Whatever a voter answers is read, or an error; and what was read is sent again as it was.

use hanse_client::{Identity, convert};
use hanse_proto::hanse::v1 as proto;
use hanse_proto::raft::v1 as raft;
use prost::Message;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    if let [kind, message @ ..] = input {
        message_of(*kind, message);
    }
}

fn message_of(kind: u8, message: &[u8]) -> Option<()> {
    match kind % 6 {
        0 => {
            let answer = proto::SnapshotResponse::decode(message).ok()?;
            let inventory = convert::inventory_from_proto(&answer).ok()?;
            let _ = convert::snapshot_objects(&inventory);
        }
        1 => {
            let told = proto::NodePlan::decode(message).ok()?;
            let plan = convert::node_plan_from_proto(&told).ok()?;
            let again = convert::node_plan_to_proto(&plan, told.revision, 0);
            assert_eq!(convert::node_plan_from_proto(&again), Ok(plan));
        }
        2 => {
            let told = proto::PlanChange::decode(message).ok()?;
            let _ = convert::plan_change_from_proto(&told);
        }
        3 => {
            let told = proto::StoredObject::decode(message).ok()?;
            let stored = convert::stored_from_proto(&told).ok()?;
            let again = convert::stored_to_proto(&stored);
            assert_eq!(convert::stored_from_proto(&again), Ok(stored));
        }
        4 => {
            let told = proto::Finding::decode(message).ok()?;
            let _ = convert::finding_from_proto(&told);
        }
        _ => {
            let told = raft::OnBehalfOf::decode(message).ok()?;
            if let Some(raft::on_behalf_of::Caller::Certificate(certificate)) = told.caller {
                let role = certificate.role.parse().ok();
                let _ = Identity::from_uri(&certificate.identity, role);
            }
        }
    }
    Some(())
}
