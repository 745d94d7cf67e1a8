//! Whatever somebody asks of a federation is refused, or leaves it as it must be.
//!
//! An input is some requests, each a byte that says which, a byte with its length, and the message.

use hanse_client::convert::{object_from_proto, reference_from_proto};
use hanse_core::command::{Farewell, Request, TokenClaim};
use hanse_core::key::PublicKey;
use hanse_core::secret::SealingKey;
use hanse_core::voters::vote::VoteRequest;
use hanse_proto::hanse::v1 as proto;
use prost::Message;

use super::{ask, check, federation};

/// More of them tell nothing new.
const REQUESTS_MAX: usize = 8;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let mut state = federation();
    let mut rest = input;
    let mut number = 0;
    while let [kind, length, content @ ..] = rest
        && number < REQUESTS_MAX
    {
        let (message, behind) = content.split_at(usize::from(*length).min(content.len()));
        rest = behind;
        number += 1;
        for request in requests(*kind, message).unwrap_or_default() {
            ask(&mut state, &format!("request-{number}"), request);
        }
    }
    check(&state);
}

/// What a message asks for; none: it is none.
fn requests(kind: u8, message: &[u8]) -> Option<Vec<Request>> {
    Some(match kind % 8 {
        0 => vec![apply(message)?],
        1 => {
            let asked = proto::DeleteRequest::decode(message).ok()?;
            vec![Request::Delete {
                reference: reference_from_proto(&asked.reference?).ok()?,
                expected_revision: asked.expected_revision,
            }]
        }
        2 => vec![enroll(message)?],
        3 => report(message)?,
        4 => {
            let asked = proto::RevokeNodeRequest::decode(message).ok()?;
            let node = asked.node.parse().ok()?;
            vec![Request::RevokeNode { node }]
        }
        5 => {
            let asked = proto::RemoveNodeRequest::decode(message).ok()?;
            let farewell = match asked.force {
                true => Farewell::Forced,
                false => Farewell::Silent,
            };
            let node = asked.node.parse().ok()?;
            vec![Request::RemoveNode { node, farewell }]
        }
        6 => {
            let asked = proto::RevokeUserRequest::decode(message).ok()?;
            let name = asked.name.parse().ok()?;
            vec![Request::RevokeUser { name }]
        }
        _ => vote(message)?,
    })
}

fn apply(message: &[u8]) -> Option<Request> {
    let asked = proto::ApplyRequest::decode(message).ok()?;
    Some(Request::Apply {
        object: object_from_proto(&asked.object?).ok()?,
        expected_revision: asked.expected_revision,
        boxes: Vec::new(),
    })
}

fn enroll(message: &[u8]) -> Option<Request> {
    let asked = proto::EnrollRequest::decode(message).ok()?;
    let sealing_key = SealingKey::try_from(asked.sealing_key.as_slice()).ok();
    Some(Request::Enroll {
        node: asked.node.parse().ok()?,
        // What else the token says of the joiner.
        cluster: "paris".parse().ok()?,
        voter: sealing_key.is_some(),
        advertise: asked.advertise.parse().ok(),
        identity_key: None,
        token: Some(TokenClaim {
            id: asked.token,
            uses_max: 1,
            expires_unix_s: 100,
        }),
        sealing_key,
        boxes: Vec::new(),
    })
}

fn report(message: &[u8]) -> Option<Vec<Request>> {
    let asked = proto::ReportRequest::decode(message).ok()?;
    let keys = asked.status?.meshes.into_iter().filter_map(|mesh| {
        Some(Request::SetKey {
            node: "b".parse().ok()?,
            mesh: mesh.mesh.parse().ok()?,
            public_key: PublicKey::try_from(mesh.public_key.as_slice()).ok()?,
        })
    });
    Some(keys.collect())
}

/// A call, its answer, and the end of it.
fn vote(message: &[u8]) -> Option<Vec<Request>> {
    let asked = proto::AddVoterRequest::decode(message).ok()?;
    let node: hanse_core::name::NodeName = asked.node.parse().ok()?;
    let call = VoteRequest::Call {
        node: node.clone(),
        listen: asked.listen.parse().ok()?,
        advertise: asked.advertise.parse().ok()?,
    };
    let answer = VoteRequest::Answer {
        node: node.clone(),
        sealing_key: SealingKey::try_from([7; 32].as_slice()).ok()?,
        boxes: Vec::new(),
    };
    let dismiss = VoteRequest::Dismiss {
        node: node.clone(),
        by_force: false,
    };
    let steps = [call, answer, dismiss, VoteRequest::Release { node }];
    let steps = steps.into_iter();
    Some(steps.map(Request::Vote).collect())
}
