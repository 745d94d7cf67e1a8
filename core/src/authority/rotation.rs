//! The next step of a rotation: a pure function of the state, of what nodes reported and of time.
//!
//! Nodes out of reach do not hold up the new authority, since the old one vouches for it: a node
//! that comes back knowing only the old one is led to the new. They do hold up the end of the old
//! one, until their certificates are good for nothing any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuthorityRequest, AuthorityRole};
use crate::name::NodeName;
use crate::secret::SecretName;
use crate::state::FederationState;

/// How many nodes are named before the rest is only counted.
const NAMES_MAX: usize = 10;

/// What a node told of its certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTrust {
    /// Whether it reported lately.
    pub is_live: bool,
    /// The numbers of the authorities that it trusts.
    pub trusts: BTreeSet<u32>,
    /// The number of the authority that signed its certificate.
    pub certified_by: Option<u32>,
}

/// What a leader knows of the nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether it has led for long enough that whoever lives has reported.
    pub is_settled: bool,
    /// What each node told.
    pub nodes: BTreeMap<NodeName, NodeTrust>,
}

/// What to do now, and what the rotation waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What to ask for, in order.
    pub requests: Vec<AuthorityRequest>,
    /// What the next step waits for, in sentences; empty where it is taken or nothing is to do.
    pub waits_for: Vec<Wait>,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The leader is new and does not know yet who lives.
    Settling,
    /// Voters that can't open the new key yet.
    Voters(BTreeSet<NodeName>),
    /// Live nodes that don't trust the new authority yet.
    Trust(BTreeSet<NodeName>),
    /// Nodes whose certificate the old authority signed.
    Certificates {
        /// Who they are.
        nodes: BTreeSet<NodeName>,
        /// When such certificates are good for nothing any more.
        until_unix_s: u64,
    },
    /// Credentials and tokens that the old authority signed.
    Issued {
        /// When the last of them ends.
        until_unix_s: u64,
    },
}

/// Decides the next step.
#[must_use]
pub fn step(state: &FederationState, seen: &Seen, now_unix_s: u64) -> Step {
    let authorities = &state.inventory().authorities;
    if let Some((number, _)) = authorities.with_role(AuthorityRole::Introduced) {
        let waits_for = waits_to_sign(state, seen, number);
        let requests = if waits_for.is_empty() {
            vec![AuthorityRequest::Sign { number }]
        } else {
            Vec::new()
        };
        return Step {
            requests,
            waits_for,
        };
    }
    let retiring = authorities.with_role(AuthorityRole::Retiring);
    let (Some((old, _)), Some((signing, _))) = (retiring, authorities.signing()) else {
        return Step::default();
    };
    let renewed = renewed(state, seen, signing);
    let waits_for = waits_to_retire(state, &renewed, old, now_unix_s);
    let mut requests = Vec::new();
    if !renewed.is_empty() {
        requests.push(AuthorityRequest::Certified { nodes: renewed });
    }
    if waits_for.is_empty() {
        requests.push(AuthorityRequest::Retire { number: old });
    }
    Step {
        requests,
        waits_for,
    }
}

/// The next step of a rotation that is under way, whoever is not ready for it.
#[must_use]
pub fn forced_step(state: &FederationState) -> Option<AuthorityRequest> {
    let authorities = &state.inventory().authorities;
    let introduced = authorities.with_role(AuthorityRole::Introduced);
    let retiring = authorities.with_role(AuthorityRole::Retiring);
    introduced
        .map(|(number, _)| AuthorityRequest::Sign { number })
        .or_else(|| retiring.map(|(number, _)| AuthorityRequest::Retire { number }))
}

fn waits_to_sign(state: &FederationState, seen: &Seen, number: u32) -> Vec<Wait> {
    let mut waits = Vec::new();
    if !seen.is_settled {
        waits.push(Wait::Settling);
    }
    let inventory = state.inventory();
    let key = SecretName::AuthorityKey(number);
    let voters = inventory.nodes.iter().filter(|(_, record)| record.voter);
    let keyless: BTreeSet<NodeName> = voters
        .filter(|(node, _)| state.secrets().get(&key, node).is_none())
        .map(|(node, _)| node.clone())
        .collect();
    if !keyless.is_empty() {
        waits.push(Wait::Voters(keyless));
    }
    let distrusts = |node: &NodeName| {
        let told = seen.nodes.get(node);
        told.is_some_and(|told| told.is_live && !told.trusts.contains(&number))
    };
    let nodes = inventory.nodes.keys().filter(|node| distrusts(node));
    let distrustful: BTreeSet<NodeName> = nodes.cloned().collect();
    if !distrustful.is_empty() {
        waits.push(Wait::Trust(distrustful));
    }
    waits
}

/// The nodes that told of a certificate of the authority that signs, and for which that is not
/// committed yet.
fn renewed(state: &FederationState, seen: &Seen, signing: u32) -> BTreeMap<NodeName, u32> {
    let nodes = state.inventory().nodes.iter();
    nodes
        .filter(|(node, record)| {
            let told = seen.nodes.get(*node).and_then(|told| told.certified_by);
            told == Some(signing) && record.certified_by != told
        })
        .map(|(node, _)| (node.clone(), signing))
        .collect()
}

fn waits_to_retire(
    state: &FederationState,
    renewed: &BTreeMap<NodeName, u32>,
    old: u32,
    now_unix_s: u64,
) -> Vec<Wait> {
    let Some(record) = state.inventory().authorities.get(old) else {
        return Vec::new();
    };
    let mut waits = Vec::new();
    if now_unix_s < record.nodes_until_unix_s {
        let nodes = state.inventory().nodes.iter();
        let nodes: BTreeSet<NodeName> = nodes
            .filter(|(_, node)| node.certified_by.is_none_or(|number| number <= old))
            .map(|(node, _)| node.clone())
            .filter(|node| !renewed.contains_key(node))
            .collect();
        if !nodes.is_empty() {
            waits.push(Wait::Certificates {
                nodes,
                until_unix_s: record.nodes_until_unix_s,
            });
        }
    }
    if now_unix_s < record.issued_until_unix_s {
        waits.push(Wait::Issued {
            until_unix_s: record.issued_until_unix_s,
        });
    }
    waits
}

/// The first nodes by name, and how many more there are.
#[must_use]
pub fn name_some(nodes: &BTreeSet<NodeName>) -> String {
    let named: Vec<String> = nodes
        .iter()
        .take(NAMES_MAX)
        .map(|n| format!("`{n}`"))
        .collect();
    let named = named.join(", ");
    match nodes.len().saturating_sub(NAMES_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Request;
    use crate::secret::{SealedBox, SealedSecret, SealingKey};
    use crate::testing::Builder;

    const YEAR_S: u64 = 365 * 24 * 3600;

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn key_box(number: u32, recipient: &str) -> SealedSecret {
        SealedSecret {
            name: SecretName::AuthorityKey(number),
            recipient: node(recipient),
            sealed: SealedBox {
                version: 1,
                bytes: vec![1],
            },
        }
    }

    fn introduce(number: u32, recipients: &[&str]) -> Request {
        Request::Authority(AuthorityRequest::Introduce {
            number,
            certificate: vec![1],
            cross_certificate: vec![2],
            boxes: recipients
                .iter()
                .map(|name| key_box(number, name))
                .collect(),
        })
    }

    /// Two voters and two followers, the first authority, and what it signed for a user.
    fn federation() -> Builder {
        let mut builder = Builder::new();
        for name in ["v1", "v2", "f1", "f2"] {
            let voter = name.starts_with('v');
            let request = Request::Enroll {
                node: node(name),
                cluster: "home".parse().unwrap(),
                voter,
                advertise: None,
                identity_key: None,
                token: None,
                sealing_key: voter.then(|| SealingKey::from([1; 32])),
                boxes: Vec::new(),
            };
            builder.ask(request).unwrap();
        }
        builder.ask(introduce(1, &["v1", "v2"])).unwrap();
        let bind = AuthorityRequest::Bind {
            number: 1,
            until_unix_s: YEAR_S,
        };
        builder.ask(Request::Authority(bind)).unwrap();
        builder
    }

    /// What leaders see when the named nodes live and the others are silent.
    fn seen(live: &[&str], trusts: &[u32], certified_by: u32) -> Seen {
        let told = NodeTrust {
            is_live: true,
            trusts: trusts.iter().copied().collect(),
            certified_by: Some(certified_by),
        };
        Seen {
            is_settled: true,
            nodes: live.iter().map(|name| (node(name), told.clone())).collect(),
        }
    }

    fn take(builder: &mut Builder, step: Step) {
        for request in step.requests {
            builder.ask(Request::Authority(request)).unwrap();
        }
    }

    fn roles(builder: &Builder) -> Vec<(u32, AuthorityRole)> {
        let authorities = &builder.state.inventory().authorities;
        let roles = authorities
            .iter()
            .map(|(number, record)| (number, record.role));
        roles.collect()
    }

    const ALL: [&str; 4] = ["v1", "v2", "f1", "f2"];

    #[test]
    fn the_first_authority_signs_at_once_and_nothing_rotates() {
        let builder = federation();
        assert_eq!(roles(&builder), [(1, AuthorityRole::Signing)]);
        let idle = step(&builder.state, &seen(&ALL, &[1], 1), 0);
        assert_eq!(idle, Step::default());
        assert_eq!(forced_step(&builder.state), None);
    }

    #[test]
    fn the_new_authority_signs_once_every_live_node_trusts_it_and_every_voter_has_its_key() {
        let mut builder = federation();
        builder.ask(introduce(2, &["v1"])).unwrap();
        let waits = |builder: &Builder, seen: &Seen| step(&builder.state, seen, 0).waits_for;
        let keyless = Wait::Voters([node("v2")].into());
        let ready = seen(&["v1", "v2", "f1"], &[1, 2], 1);
        assert_eq!(waits(&builder, &ready), [keyless]);
        let boxes = vec![key_box(2, "v2")];
        builder.ask(Request::Seal { boxes }).unwrap();

        let mut doubtful = ready.clone();
        doubtful.nodes.insert(
            node("f1"),
            seen(&["f1"], &[1], 1).nodes[&node("f1")].clone(),
        );
        assert_eq!(
            waits(&builder, &doubtful),
            [Wait::Trust([node("f1")].into())]
        );
        let unsettled = Seen {
            is_settled: false,
            ..ready.clone()
        };
        assert_eq!(waits(&builder, &unsettled), [Wait::Settling]);

        let next = step(&builder.state, &ready, 0);
        take(&mut builder, next);
        let expected = [(1, AuthorityRole::Retiring), (2, AuthorityRole::Signing)];
        assert_eq!(roles(&builder), expected);
    }

    #[test]
    fn the_old_key_is_destroyed_when_the_new_authority_signs() {
        let mut builder = federation();
        builder.ask(introduce(2, &["v1", "v2"])).unwrap();
        take_forced(&mut builder);
        let names: Vec<_> = builder.state.secrets().names().collect();
        assert_eq!(names, [&SecretName::AuthorityKey(2)]);
    }

    fn take_forced(builder: &mut Builder) {
        let request = forced_step(&builder.state).unwrap();
        builder.ask(Request::Authority(request)).unwrap();
    }

    /// The second authority signs since the moment 0.
    fn switched() -> Builder {
        let mut builder = federation();
        builder.ask(introduce(2, &["v1", "v2"])).unwrap();
        take_forced(&mut builder);
        builder
    }

    #[test]
    fn the_old_authority_retires_once_every_node_has_renewed_and_all_that_it_issued_has_ended() {
        let mut builder = switched();
        let early = step(&builder.state, &seen(&["v1", "v2", "f1"], &[1, 2], 2), 0);
        take(&mut builder, early.clone());
        let until_unix_s = 24 * 3600 + crate::object::federation::REJOIN_WINDOW_DEFAULT_S;
        let expected = [
            Wait::Certificates {
                nodes: [node("f2")].into(),
                until_unix_s,
            },
            Wait::Issued {
                until_unix_s: YEAR_S,
            },
        ];
        assert_eq!(early.waits_for, expected);
        // What was committed is known to a leader who has heard nothing yet.
        let fresh = step(&builder.state, &Seen::default(), 0);
        assert_eq!(fresh.waits_for, expected);

        let last = step(&builder.state, &seen(&["f2"], &[1, 2], 2), YEAR_S);
        take(&mut builder, last);
        assert_eq!(roles(&builder), [(2, AuthorityRole::Signing)]);
    }

    #[test]
    fn a_node_that_never_comes_back_is_waited_for_until_its_certificate_is_good_for_nothing() {
        let builder = switched();
        let until = 24 * 3600 + crate::object::federation::REJOIN_WINDOW_DEFAULT_S;
        let names = |now| step(&builder.state, &Seen::default(), now).waits_for.len();
        assert_eq!((names(until - 1), names(until)), (2, 1));
    }

    #[test]
    fn a_rotation_that_is_under_way_admits_no_second_one() {
        let mut builder = switched();
        builder.ask(introduce(3, &["v1", "v2"])).unwrap_err();
        take_forced(&mut builder);
        builder.ask(introduce(3, &["v1", "v2"])).unwrap();
    }

    #[test]
    fn a_number_that_was_taken_meanwhile_is_refused() {
        federation().ask(introduce(3, &["v1"])).unwrap_err();
        federation().ask(introduce(1, &["v1"])).unwrap_err();
    }

    #[test]
    fn many_nodes_are_counted_and_not_all_named() {
        let nodes: BTreeSet<NodeName> = (0..12).map(|n| node(&format!("n{n}"))).collect();
        assert!(name_some(&nodes).ends_with(" and 2 more"));
    }
}
