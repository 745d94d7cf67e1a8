//! Whether a node's vote may change so. That enough voters can be heard to do without one is seen
//! by the leader alone, who asks [`crate::voters::check_removal`].

use super::{Refusal, RefusalKind, secret};
use crate::dr::quorum;
use crate::endpoint::Endpoint;
use crate::finding::{Finding, Path};
use crate::inventory::{Inventory, NodeRecord};
use crate::name::NodeName;
use crate::secret::{SealedSecret, SealingKey};
use crate::state::FederationState;
use crate::voters::VOTERS_MAX;
use crate::voters::vote::{Pending, VoteChange, VoteRequest};

type Decided = Result<Option<VoteChange>, Refusal>;

/// Decides on a request; none: it would change nothing.
pub(super) fn admit(state: &FederationState, request: VoteRequest) -> Decided {
    let inventory = state.inventory();
    match request {
        VoteRequest::Call {
            node,
            listen,
            advertise,
        } => call(state, node, listen, advertise),
        VoteRequest::Answer {
            node,
            sealing_key,
            boxes,
        } => answer(inventory, node, sealing_key, boxes),
        VoteRequest::Dismiss { node, by_force } => dismiss(inventory, node, by_force),
        VoteRequest::Release { node } => {
            let pending = &known(inventory, &node)?.vote.pending;
            let is_dismissed = *pending == Some(Pending::Dismissed);
            Ok(is_dismissed.then_some(VoteChange::Ended { node }))
        }
    }
}

/// Whether there is room for one more voter.
pub(super) fn check_room(inventory: &Inventory, node: &NodeName) -> Result<(), Refusal> {
    let others = inventory.nodes.iter().filter(|(name, record)| {
        let is_called = matches!(record.vote.pending, Some(Pending::Called { .. }));
        *name != node && (record.voter || is_called)
    });
    if others.count() < VOTERS_MAX {
        return Ok(());
    }
    let detail = format!(
        "There are {VOTERS_MAX} voters, and more make every change slower and nothing safer. Let \
         this node follow, or run `hanse voter remove` for another one first."
    );
    Err(refuse(RefusalKind::Invalid, "Voters enough", &detail))
}

fn call(state: &FederationState, node: NodeName, listen: Endpoint, advertise: Endpoint) -> Decided {
    let inventory = state.inventory();
    let record = known(inventory, &node)?;
    let called = Pending::Called { listen, advertise };
    match &record.vote.pending {
        Some(Pending::Dismissed) => {
            let detail = format!(
                "`{node}` is being removed from the voters. Once `hanse status` lists it no more, \
                 it may be added again."
            );
            return Err(refuse(RefusalKind::Conflict, "On its way out", &detail));
        }
        Some(pending) if *pending == called => return Ok(None),
        Some(Pending::Called { .. }) | None => {}
    }
    if record.voter {
        return Ok(None);
    }
    if state.identities().is_awaited(&node) {
        let detail = format!(
            "The node `{node}` has not come back since the federation was restored. Let it join \
             first; `hanse status` names those that are awaited."
        );
        return Err(refuse(RefusalKind::Conflict, "Awaited", &detail));
    }
    check_room(inventory, &node)?;
    let Pending::Called { listen, advertise } = called else {
        return Ok(None);
    };
    let is_taken = |other: &NodeRecord| other.voter && other.advertise.as_ref() == Some(&advertise);
    let other = inventory.nodes.iter().find(|(_, other)| is_taken(other));
    if let Some((other, _)) = other {
        let detail = format!("The voter `{other}` is reached at {advertise} already.");
        let kind = RefusalKind::AlreadyExists;
        let path = Path::of("advertise");
        return Err(Refusal::one(kind, path, "Endpoint taken", detail));
    }
    Ok(Some(VoteChange::Called {
        node,
        listen,
        advertise,
    }))
}

fn answer(
    inventory: &Inventory,
    node: NodeName,
    sealing_key: SealingKey,
    boxes: Vec<SealedSecret>,
) -> Decided {
    let record = known(inventory, &node)?;
    secret::check_label(&node, &boxes)?;
    match &record.vote.pending {
        Some(Pending::Called { listen, advertise }) => Ok(Some(VoteChange::Granted {
            listen: listen.clone(),
            advertise: advertise.clone(),
            node,
            sealing_key,
            boxes,
        })),
        // It lost the answer and asks again.
        None if record.voter && record.sealing_key == Some(sealing_key) => Ok(None),
        None | Some(Pending::Dismissed) => {
            let detail = format!(
                "The node `{node}` was not called to vote; an admin does that with `hanse voter \
                 add {node}`."
            );
            Err(refuse(RefusalKind::Conflict, "Not called", &detail))
        }
    }
}

fn dismiss(inventory: &Inventory, node: NodeName, by_force: bool) -> Decided {
    let record = known(inventory, &node)?;
    match (record.voter, &record.vote.pending) {
        (true, Some(Pending::Dismissed)) => Ok(None),
        (false, Some(Pending::Called { .. })) => Ok(Some(VoteChange::Ended { node })),
        (false, Some(Pending::Dismissed) | None) => {
            let detail = format!("The node `{node}` is no voter; `hanse status` lists those.");
            Err(refuse(RefusalKind::NotFound, "No voter", &detail))
        }
        (true, Some(Pending::Called { .. }) | None) => {
            let mut others = inventory.nodes.iter();
            if !others.any(|(name, other)| *name != node && other.shall_vote()) {
                let detail = format!(
                    "`{node}` is the only voter: without it there is no federation. Add another \
                     one first, with `hanse voter add`."
                );
                return Err(refuse(RefusalKind::Invalid, "The last voter", &detail));
            }
            if !by_force {
                check_plans(inventory, &node)?;
            }
            Ok(Some(VoteChange::Dismissed { node }))
        }
    }
}

/// Refuses to let a voter go that DR plans need for their automatic failover.
fn check_plans(inventory: &Inventory, node: &NodeName) -> Result<(), Refusal> {
    let lost = quorum::lost_without(inventory, node).into_iter();
    let findings: Vec<Finding> = lost
        .map(|(plan, trouble)| {
            let detail = format!(
                "The DR plan `{plan}` fails over by itself, and without `{node}` {trouble}. Do that \
                 first, or declare automatic_failover = false. `hanse voter remove {node} --force` \
                 goes on all the same, and `{plan}` then waits for `hanse failover`."
            );
            Finding::error(Path::of("node"), "A DR plan needs it", detail)
        })
        .collect();
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Refusal {
            kind: RefusalKind::Invalid,
            findings,
        }),
    }
}

fn known<'a>(inventory: &'a Inventory, node: &NodeName) -> Result<&'a NodeRecord, Refusal> {
    inventory
        .nodes
        .get(node)
        .ok_or_else(|| super::node::unknown(node))
}

fn refuse(kind: RefusalKind, summary: &str, detail: &str) -> Refusal {
    Refusal::one(kind, Path::of("node"), summary, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Request;
    use crate::object::{DrPlan, Object};
    use crate::testing::{Builder, dr_plan};
    use crate::voters::vote::Duty;

    fn ask(federation: &mut Builder, request: VoteRequest) -> Result<(), Refusal> {
        federation.ask(Request::Vote(request))
    }

    fn name(node: &str) -> NodeName {
        node.parse().unwrap()
    }

    fn call(federation: &mut Builder, node: &str, port: u16) -> Result<(), Refusal> {
        let request = VoteRequest::Call {
            node: name(node),
            listen: format!("0.0.0.0:{port}").parse().unwrap(),
            advertise: format!("192.0.2.1:{port}").parse().unwrap(),
        };
        ask(federation, request)
    }

    fn answer(federation: &mut Builder, node: &str, key: u8) -> Result<(), Refusal> {
        let request = VoteRequest::Answer {
            node: name(node),
            sealing_key: [key; 32].into(),
            boxes: Vec::new(),
        };
        ask(federation, request)
    }

    fn dismiss(federation: &mut Builder, node: &str) -> Result<(), Refusal> {
        let request = VoteRequest::Dismiss {
            node: name(node),
            by_force: false,
        };
        ask(federation, request)
    }

    fn release(federation: &mut Builder, node: &str) -> Result<(), Refusal> {
        ask(federation, VoteRequest::Release { node: name(node) })
    }

    fn duty(federation: &Builder, node: &str) -> Duty {
        federation.state.inventory().nodes[&name(node)].duty()
    }

    /// `a` and `b` vote, `c` follows.
    fn federation() -> Builder {
        let mut federation = Builder::new();
        for (number, node) in ["a", "b", "c"].into_iter().enumerate() {
            federation.enroll(node, "home");
            if node != "c" {
                call(&mut federation, node, 1 + number as u16).unwrap();
                answer(&mut federation, node, number as u8).unwrap();
            }
        }
        federation
    }

    #[test]
    fn a_node_votes_once_it_was_called_and_answered_and_not_before() {
        let mut federation = federation();
        let refused = answer(&mut federation, "c", 9).unwrap_err();
        assert!(refused.findings[0].detail.contains("hanse voter add c"));
        call(&mut federation, "c", 9).unwrap();
        assert!(matches!(duty(&federation, "c"), Duty::Answer { .. }));
        answer(&mut federation, "c", 9).unwrap();
        let id = federation.state.revision();
        let listen = Some("0.0.0.0:9".parse().unwrap());
        let vote = Duty::Vote { id, listen };
        assert_eq!(duty(&federation, "c"), vote);
        answer(&mut federation, "c", 9).unwrap();
        assert_eq!(duty(&federation, "c"), vote, "asked again");
        answer(&mut federation, "c", 8).unwrap_err();
    }

    #[test]
    fn whoever_becomes_a_voter_again_is_another_one() {
        let mut federation = federation();
        let before = federation.state.inventory().nodes[&name("b")].voter_id();
        dismiss(&mut federation, "b").unwrap();
        assert!(matches!(duty(&federation, "b"), Duty::Vote { id, .. } if id == before));
        call(&mut federation, "b", 2).unwrap_err();
        release(&mut federation, "b").unwrap();
        assert_eq!(duty(&federation, "b"), Duty::Follow);
        call(&mut federation, "b", 2).unwrap();
        answer(&mut federation, "b", 2).unwrap();
        assert!(federation.state.inventory().nodes[&name("b")].voter_id() > before);
    }

    #[test]
    fn the_last_voter_stays_and_who_is_none_can_not_go() {
        let mut federation = federation();
        dismiss(&mut federation, "a").unwrap();
        let last = dismiss(&mut federation, "b").unwrap_err();
        assert_eq!(last.findings[0].summary, "The last voter");
        assert_eq!(
            dismiss(&mut federation, "c").unwrap_err().kind,
            RefusalKind::NotFound
        );
        release(&mut federation, "b").unwrap();
        assert!(
            matches!(duty(&federation, "b"), Duty::Vote { .. }),
            "it was not dismissed"
        );
    }

    /// Voters `v1`, `v2` and so on, each in its site, and a plan at home in `a` with standbys in `b` and
    /// `c` that fails over by itself.
    fn with_plan(sites: &[&str]) -> Builder {
        let named = ["a", "b", "c", "d"].into_iter();
        let mut federation = named
            .fold(Builder::new(), Builder::site)
            .mesh(&["10.0.0.0/24"]);
        for (number, site) in (1..).zip(sites) {
            let node = format!("v{number}");
            federation.enroll(&node, site);
            call(&mut federation, &node, number).unwrap();
            answer(&mut federation, &node, number as u8).unwrap();
        }
        let plan = Object::DrPlan(Box::new(dr_plan()));
        federation.declare(plan);
        federation
    }

    #[test]
    fn a_voter_stays_that_a_plan_needs_to_fail_over_by_itself() {
        let mut federation = with_plan(&["a", "b", "d"]);
        let refused = dismiss(&mut federation, "v3").unwrap_err();
        let finding = &refused.findings[0];
        assert_eq!(finding.summary, "A DR plan needs it");
        for part in ["`orders`", "has 2 of the 3", "voter remove v3 --force"] {
            assert!(finding.detail.contains(part), "{}", finding.detail);
        }
        assert!(matches!(duty(&federation, "v3"), Duty::Vote { .. }));

        // Of four in two sites each site has half.
        let mut federation = with_plan(&["a", "a", "b", "b", "d"]);
        let refused = dismiss(&mut federation, "v5").unwrap_err();
        assert!(refused.findings[0].detail.contains("of 4 voters 2 are in"));
    }

    #[test]
    fn whoever_was_dismissed_is_no_voter_that_a_plan_could_count_on() {
        let mut federation = with_plan(&["a", "b", "d", "d", "d"]);
        dismiss(&mut federation, "v5").unwrap();
        dismiss(&mut federation, "v4").unwrap();
        dismiss(&mut federation, "v3").unwrap_err();
    }

    #[test]
    fn a_voter_is_replaced_by_adding_the_other_one_first() {
        let mut federation = with_plan(&["a", "b", "d"]);
        federation.enroll("v4", "d");
        call(&mut federation, "v4", 4).unwrap();
        dismiss(&mut federation, "v3").unwrap_err();
        answer(&mut federation, "v4", 4).unwrap();
        dismiss(&mut federation, "v3").unwrap();
    }

    #[test]
    fn a_voter_may_come_wherever_it_is_although_a_plan_waits_for_the_next_one() {
        let mut federation = with_plan(&["a", "b", "d"]);
        for (number, node) in (4..).zip(["v4", "v5"]) {
            federation.enroll(node, "a");
            call(&mut federation, node, number).unwrap();
            answer(&mut federation, node, number as u8).unwrap();
        }
        // The plan has lost its quorum already: no removal takes it away.
        dismiss(&mut federation, "v2").unwrap();
    }

    #[test]
    fn by_force_and_where_nothing_happens_by_itself_any_voter_goes_but_the_last() {
        let mut federation = with_plan(&["a", "b", "d"]);
        for node in ["v3", "v2"] {
            let request = VoteRequest::Dismiss {
                node: name(node),
                by_force: true,
            };
            ask(&mut federation, request).unwrap();
        }
        let request = VoteRequest::Dismiss {
            node: name("v1"),
            by_force: true,
        };
        let last = ask(&mut federation, request).unwrap_err();
        assert_eq!(last.findings[0].summary, "The last voter");

        let mut federation = with_plan(&["a", "b", "d"]);
        let by_hand = DrPlan {
            automatic_failover: false,
            ..dr_plan()
        };
        federation.declare(Object::DrPlan(Box::new(by_hand)));
        dismiss(&mut federation, "v3").unwrap();
    }

    #[test]
    fn a_call_that_nobody_answered_is_taken_back() {
        let mut federation = federation();
        call(&mut federation, "c", 9).unwrap();
        dismiss(&mut federation, "c").unwrap();
        assert_eq!(duty(&federation, "c"), Duty::Follow);
        answer(&mut federation, "c", 9).unwrap_err();
    }

    #[test]
    fn there_is_room_for_seven_and_each_has_an_endpoint_of_its_own() {
        let mut federation = federation();
        let taken = call(&mut federation, "c", 1).unwrap_err();
        assert_eq!(taken.findings[0].summary, "Endpoint taken");
        for port in 3..8 {
            let node = format!("n{port}");
            federation.enroll(&node, "home");
            call(&mut federation, &node, port).unwrap();
        }
        let full = call(&mut federation, "c", 9).unwrap_err();
        assert_eq!(full.findings[0].summary, "Voters enough");
        call(&mut federation, "n3", 33).unwrap();
    }
}
