//! A node's own plan, now and whenever it changes.
//!
//! A node that has a plan gets what is other in it, as long as the voter remembers that plan; else
//! a whole one. Nothing is worked out before the connection can take it, so a slow node skips what
//! it was too slow for.
//!
//! A stream keeps the room of the largest message that it carried. So one that carried a large one
//! ends after it, and the node goes on from there by another.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use hanse_client::convert;
use hanse_client::proto::{self, follow_event::Event};
use hanse_core::dr::copies::copies_of;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::mesh::{MeshChange, NodeDifference, NodePlan, PlanDigest, SiteTerms};
use hanse_core::name::NodeName;
use hanse_core::voters::vote::Duty;
use prost::Message as _;
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::Status;

use super::dr;
use super::followers::FollowerPlace;
use super::plans::Frame;
use super::session::Session;
use super::streams::Held;
use super::vote;
use super::voter::Voter;
use crate::identity::Trust;
use crate::preshared::PresharedKeys;

/// How long a voter that a node is ahead of may take to catch up: nobody goes back to an older plan.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// A larger message is its stream's last.
const LENGTH_KEPT_MAX: usize = 2 << 10;

/// One node's stream.
struct Following {
    voter: Arc<Voter>,
    node: NodeName,
    frames: watch::Receiver<Arc<Frame>>,
    contact: watch::Receiver<bool>,
    place: FollowerPlace,
    request: proto::FollowRequest,
    sent: Option<Sent>,
    is_over: bool,
    _held: Held,
}

/// What the node has once it has taken what was sent.
#[derive(Debug)]
pub(super) struct Sent {
    revision: u64,
    digest: PlanDigest,
    terms: SiteTerms,
    /// Of the secret from which the plan's keys are made.
    mark: [u8; 32],
    report_interval_ms: u32,
    voters: Arc<[String]>,
    /// None: whether the node has heard of it is not certain.
    trust: Option<(Arc<Trust>, Duration)>,
    /// The same.
    duty: Option<Duty>,
    /// The same.
    copies: Option<Vec<(u64, CopyPlan)>>,
}

/// Follows a node's plan until the node goes or the voter stops.
pub(super) fn follow(
    voter: Arc<Voter>,
    node: NodeName,
    session: Option<Session>,
    request: proto::FollowRequest,
) -> impl Stream<Item = Result<proto::FollowEvent, Status>> + Send {
    let place = voter.followers.enter(node.clone(), session);
    let digest = PlanDigest::from_bytes(&request.plan_digest);
    let is_the_same = |sent: &Sent| {
        request.takes_changes
            && sent.revision == request.from_revision
            && Some(sent.digest) == digest
    };
    let sent = place.unpark().filter(is_the_same).map(|sent| Sent {
        // The plan is on the node's disk, and these are not: it may have begun anew since.
        trust: None,
        duty: None,
        copies: None,
        ..sent
    });
    if let Some(sent) = &sent {
        place.hand_out(sent.revision, None, false);
    }
    let following = Following {
        frames: voter.frames.clone(),
        contact: voter.contact.clone(),
        sent,
        place,
        _held: voter.streams.hold(node.clone()),
        voter,
        node,
        request,
        is_over: false,
    };
    stream::unfold(following, |mut following| async move {
        let next = following.next().await?;
        following.is_over |= next.is_err();
        Some((next, following))
    })
}

impl Following {
    async fn next(&mut self) -> Option<Result<proto::FollowEvent, Status>> {
        if self.is_over {
            return None;
        }
        let had = match &self.sent {
            Some(sent) => sent.revision.saturating_add(1),
            None => self.request.from_revision,
        };
        let patience = match &self.sent {
            Some(_) => Duration::MAX,
            None => CATCH_UP_TIMEOUT,
        };
        tokio::select! {
            reached = self.frames.wait_for(|frame| frame.revision >= had) => {
                reached.ok()?;
            }
            () = tokio::time::sleep(patience) => {
                let reason = "this voter is behind what the node has; another one is not";
                return Some(Err(Status::unavailable(reason)));
            }
            () = self.voter.stop.cancelled() => return None,
            () = out_of_contact(&mut self.contact) => {
                let reason = "this voter has lost touch with the others; ask another one";
                return Some(Err(Status::unavailable(reason)));
            }
            () = self.place.superseded() => {
                let reason = "this node follows by another connection";
                return Some(Err(Status::aborted(reason)));
            }
        }
        let frame = self.frames.borrow_and_update().clone();
        let Some(terms) = frame.terms(&self.node) else {
            // The node is out: the guard ends the stream, and says why.
            self.voter.stop.cancelled().await;
            return None;
        };
        // Without the keys there is no plan: one without pre-shared keys would part the meshes.
        let keys = match self.voter.keys() {
            Ok(keys) => keys,
            Err(status) => return Some(Err(status)),
        };
        let mut turn = None;
        if self.is_whole_due(&frame) {
            turn = self.place.turn().await;
        }
        let mut event = match self.later_event(&frame, &keys.preshared, terms) {
            Some(event) => event,
            None => self.whole_event(&frame, &keys.preshared)?,
        };
        event.copies = self.changed_copies(&keys.preshared);
        let is_large = event.encoded_len() > LENGTH_KEPT_MAX;
        self.is_over = is_large && self.request.takes_changes;
        self.place.hand_out(frame.revision, turn, is_large);
        if self.is_over
            && let Some(sent) = self.sent.take()
        {
            self.place.park(sent);
        }
        Some(Ok(event))
    }

    /// Whether a whole plan must be worked out, by itself or to be compared with another.
    fn is_whole_due(&self, frame: &Frame) -> bool {
        let sent = self.sent.as_ref();
        let changes = sent.and_then(|sent| frame.changes_since(sent.revision));
        changes.is_none_or(|changes| changes.iter().any(MeshChange::concerns_everybody))
    }

    /// What is other than what was sent last; none: a whole plan must be made.
    fn later_event(
        &mut self,
        frame: &Frame,
        keys: &PresharedKeys,
        terms: SiteTerms,
    ) -> Option<proto::FollowEvent> {
        let mark = keys.mark();
        let sent = self.sent.as_ref().filter(|sent| sent.mark == mark)?;
        let base_revision = sent.revision;
        let changes = frame.changes_since(base_revision)?;
        let (mut difference, mut digest) = (NodeDifference::default(), sent.digest);
        for change in changes.iter() {
            let preshared_key = &|mesh: &_, a: &_, b: &_| Some(keys.of(mesh, a, b));
            change.add_to(&self.node, preshared_key, &mut difference, &mut digest);
        }
        if sent.terms != terms {
            digest.replace_terms(&sent.terms, &terms);
            difference.terms = Some(terms.clone());
        }
        let is_same = difference.is_empty() && sent.report_interval_ms == frame.report_interval_ms;
        let event = if is_same {
            Event::UnchangedUntilRevision(frame.revision)
        } else if self.request.takes_changes {
            Event::Change(change_message(&difference, base_revision, frame))
        } else {
            return None;
        };
        Some(self.finish(event, digest, (terms, mark), frame))
    }

    /// What the node needs that says which plan it has, or that has none.
    fn whole_event(&mut self, frame: &Frame, keys: &PresharedKeys) -> Option<proto::FollowEvent> {
        let preshared_key = &|mesh: &_, a: &_, b: &_| Some(keys.of(mesh, a, b));
        let plan = frame.plan(&self.node, preshared_key)?;
        let digest = PlanDigest::of(&plan);
        let is_first = self.sent.is_none();
        let known = PlanDigest::from_bytes(&self.request.plan_digest)
            .filter(|_| is_first && self.request.takes_changes);
        let base_revision = self.request.from_revision;
        let difference = known.and_then(|known| {
            if known == digest {
                return Some(NodeDifference::default());
            }
            let base = frame.plan_at(base_revision, &self.node, preshared_key)?;
            (PlanDigest::of(&base) == known).then(|| NodeDifference::between(&base, &plan))
        });
        let takes_changes = self.request.takes_changes;
        let compacted = takes_changes && difference.is_none() && (known.is_some() || !is_first);
        let event = match difference {
            Some(difference) => Event::Change(change_message(&difference, base_revision, frame)),
            None => Event::Plan(plan_message(&plan, frame)),
        };
        let event = self.finish(event, digest, (plan.terms(), keys.mark()), frame);
        Some(proto::FollowEvent { compacted, ..event })
    }

    /// What the node's copies have to be, if the node has not heard it yet.
    fn changed_copies(&mut self, keys: &PresharedKeys) -> Option<proto::CopyPlans> {
        let state = self.voter.replica.read();
        let copies = copies_of(&state, &self.node);
        let copies = dr::with_secrets(&self.voter, &state, keys, copies);
        let sent = self.sent.as_mut()?;
        if sent.copies.as_ref() == Some(&copies) {
            return None;
        }
        let message = dr::copies_message(&copies, state.revision());
        sent.copies = Some(copies);
        Some(message)
    }

    fn finish(
        &mut self,
        event: Event,
        digest: PlanDigest,
        (terms, mark): (SiteTerms, [u8; 32]),
        frame: &Frame,
    ) -> proto::FollowEvent {
        let mut told = self.sent.take();
        let copies = told.as_mut().and_then(|told| told.copies.take());
        let is_told = |was: &dyn Fn(&Sent) -> bool| told.as_ref().is_some_and(was);
        let newest = (self.voter.trust(), self.voter.certificate_lifetime());
        let duty = frame.duty(&self.node).unwrap_or(Duty::Follow);
        let are_voters_told = is_told(&|told| told.voters == frame.voters);
        let is_trust_told = is_told(&|told| told.trust.as_ref() == Some(&newest));
        let is_duty_told = is_told(&|told| told.duty.as_ref() == Some(&duty));
        self.sent = Some(Sent {
            revision: frame.revision,
            digest,
            terms,
            mark,
            report_interval_ms: frame.report_interval_ms,
            voters: frame.voters.clone(),
            trust: Some(newest.clone()),
            duty: Some(duty.clone()),
            copies,
        });
        let endpoints = || frame.voters.to_vec();
        proto::FollowEvent {
            event: Some(event),
            plan_digest: digest.to_bytes().to_vec(),
            voters: (!are_voters_told).then(|| proto::VoterEndpoints {
                endpoints: endpoints(),
            }),
            compacted: false,
            trust: (!is_trust_told).then(|| newest.0.to_proto(newest.1)),
            duty: (!is_duty_told).then(|| vote::duty_message(&duty, frame.revision)),
            copies: None,
        }
    }
}

/// Waits until the voter has lost touch with the others.
async fn out_of_contact(contact: &mut watch::Receiver<bool>) {
    if contact.wait_for(|has_contact| !has_contact).await.is_err() {
        std::future::pending().await
    }
}

fn change_message(
    difference: &NodeDifference,
    base_revision: u64,
    frame: &Frame,
) -> proto::PlanChange {
    let interval_ms = frame.report_interval_ms;
    convert::plan_change_to_proto(difference, base_revision, frame.revision, interval_ms)
}

fn plan_message(plan: &NodePlan, frame: &Frame) -> proto::NodePlan {
    convert::node_plan_to_proto(plan, frame.revision, frame.report_interval_ms)
}
