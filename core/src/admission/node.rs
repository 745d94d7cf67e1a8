//! Nodes that go: revoked, removed, or by themselves; and the keys that nodes are known by.

use super::{Refusal, RefusalKind, assign};
use crate::command::{AddressChange, Command, Farewell};
use crate::finding::Path;
use crate::identities::IdentityKey;
use crate::inventory::NodeRecord;
use crate::level::FeatureLevel;
use crate::name::{ClusterName, NodeName};
use crate::state::FederationState;

/// Whether a node may come in with a key: one key is one node, and what was revoked stays out.
pub(super) fn check_key(
    state: &FederationState,
    node: &NodeName,
    key: Option<IdentityKey>,
) -> Result<(), Refusal> {
    let identities = state.identities();
    if identities.revoked_nodes().contains_key(node) {
        let detail = format!(
            "The node `{node}` was revoked, and its name stays taken until `hanse node remove \
             {node}`. Remove it, or choose another name for this machine."
        );
        let kind = RefusalKind::AlreadyExists;
        return Err(Refusal::one(kind, Path::of("node"), "Name revoked", detail));
    }
    let holder = key.and_then(|key| identities.holder_of(key));
    match holder {
        Some(holder) if holder != node => {
            let detail = format!(
                "This machine's key is that of the node `{holder}`. A copied data folder brings \
                 its key along: join `{node}` with an empty one."
            );
            let kind = RefusalKind::AlreadyExists;
            Err(Refusal::one(
                kind,
                Path::root(),
                "Key of another node",
                detail,
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a node may come in under a name that is known: only one of a federation that was
/// restored, once, and with a token of the member cluster that it belongs to.
pub(super) fn check_name(
    state: &FederationState,
    node: &NodeName,
    present: &NodeRecord,
    cluster: &ClusterName,
    (comes_by_token, key): (bool, Option<IdentityKey>),
) -> Result<(), Refusal> {
    let refuse = |summary, detail| {
        let kind = RefusalKind::AlreadyExists;
        Err(Refusal::one(kind, Path::of("node"), summary, detail))
    };
    if !state.identities().is_awaited(node) {
        let detail = format!(
            "A node called `{node}` is enrolled already. Choose another name for this one, or \
             remove the old node first."
        );
        return refuse("Name taken", detail);
    }
    if present.cluster != *cluster {
        let own = &present.cluster;
        let detail = format!(
            "The node `{node}` of the federation that was restored belongs to the member cluster \
             `{own}`, and this token is for `{cluster}`. Make one with `hanse token create \
             --cluster {own}`, or choose another name for this machine."
        );
        return refuse("Another member cluster", detail);
    }
    let known = state.identities().awaited_key(node);
    if comes_by_token && known.is_some() && known != key {
        let detail = format!(
            "The node `{node}` of the federation that was restored is another machine: its key is \
             known. Run `hanse join` there, on its own data folder. Where that folder is lost, \
             `hanse node remove {node}` frees the name, and this machine gets new addresses."
        );
        return refuse("Another machine", detail);
    }
    Ok(())
}

/// Keeps the key of a node that has none yet.
pub(super) fn bind_key(
    state: &FederationState,
    node: NodeName,
    identity_key: IdentityKey,
) -> Result<Option<Command>, Refusal> {
    if !state.inventory().nodes.contains_key(&node) {
        return Err(unknown(&node));
    }
    check_key(state, &node, Some(identity_key))?;
    match state.identities().key_of(&node) {
        Some(own) if own == identity_key => Ok(None),
        Some(_) => {
            let detail = format!("The node `{node}` was enrolled with another key.");
            let kind = RefusalKind::AlreadyExists;
            Err(Refusal::one(kind, Path::root(), "Another key", detail))
        }
        None => Ok(Some(Command::BindKey { node, identity_key })),
    }
}

/// Ends whatever a node may do.
pub(super) fn revoke(state: &FederationState, node: NodeName) -> Result<Option<Command>, Refusal> {
    if state.identities().revoked_nodes().contains_key(&node) {
        return Ok(None);
    }
    let addresses = without(state, &node, true)?;
    Ok(Some(Command::RevokeNode { node, addresses }))
}

/// Forgets a node.
pub(super) fn remove(
    state: &FederationState,
    node: NodeName,
    farewell: Farewell,
) -> Result<Command, Refusal> {
    if state.identities().revoked_nodes().contains_key(&node) {
        let addresses = Vec::new();
        return Ok(Command::RemoveNode { node, addresses });
    }
    let addresses = without(state, &node, farewell == Farewell::Forced)?;
    match farewell {
        Farewell::Leaves | Farewell::Silent | Farewell::Forced => {
            Ok(Command::RemoveNode { node, addresses })
        }
        Farewell::Reporting => {
            let detail = format!(
                "The node `{node}` reported a moment ago. Stop its agent and run `hanse leave` \
                 there, so that it takes its meshes down; or, where nobody can log in any more, \
                 `hanse node revoke {node}` shuts it out and `hanse node remove {node} --force` \
                 forgets it as it is."
            );
            let kind = RefusalKind::Invalid;
            Err(Refusal::one(
                kind,
                Path::of("node"),
                "Still reporting",
                detail,
            ))
        }
    }
}

/// What changes in the addresses when a node goes, which a voter must not. Where votes can't be ended
/// yet, an admin's word must do: a voter that is lost would keep the others from ever being upgraded.
fn without(
    state: &FederationState,
    node: &NodeName,
    by_force: bool,
) -> Result<Vec<AddressChange>, Refusal> {
    let inventory = state.inventory();
    let record = inventory.nodes.get(node).ok_or_else(|| unknown(node))?;
    let can_end_votes = state.feature_level() >= FeatureLevel::SECOND;
    if (record.voter || record.vote.pending.is_some()) && (can_end_votes || !by_force) {
        let detail = format!(
            "The node `{node}` is a voter and keeps the federation's state. Run `hanse voter \
             remove {node}` first; it refuses where no quorum would be left. While some voters are \
             of an earlier version and this one's machine is lost: `hanse node remove {node} --force`."
        );
        let kind = RefusalKind::Invalid;
        return Err(Refusal::one(kind, Path::of("node"), "A voter", detail));
    }
    let mut changes: Vec<AddressChange> = record
        .meshes
        .iter()
        .map(|(mesh, place)| AddressChange {
            mesh: mesh.clone(),
            node: node.clone(),
            addresses: Vec::new(),
            retired: place.addresses.clone(),
        })
        .collect();
    let mut next = inventory.clone();
    next.nodes.remove(node);
    changes.extend(assign(&next)?);
    Ok(changes)
}

pub(super) fn unknown(node: &NodeName) -> Refusal {
    let detail = format!("No node is called `{node}`; `hanse nodes` lists those that there are.");
    let kind = RefusalKind::NotFound;
    Refusal::one(kind, Path::of("node"), "Not enrolled", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Request;
    use crate::identities::NodeStanding;
    use crate::mesh::plan;
    use crate::testing::{Builder, addresses_of, mesh_name};

    fn enroll(federation: &mut Builder, node: &str, key: u8) -> Result<(), Refusal> {
        federation.ask(Request::Enroll {
            node: node.parse().unwrap(),
            cluster: "a".parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: Some([key; 32].into()),
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        })
    }

    fn revoke(federation: &mut Builder, node: &str) -> Result<(), Refusal> {
        let node = node.parse().unwrap();
        federation.ask(Request::RevokeNode { node })
    }

    fn remove(federation: &mut Builder, node: &str, farewell: Farewell) -> Result<(), Refusal> {
        let node = node.parse().unwrap();
        federation.ask(Request::RemoveNode { node, farewell })
    }

    fn standing(federation: &Builder, node: &str, key: u8) -> NodeStanding {
        let (node, cluster) = (node.parse().unwrap(), "a".parse().unwrap());
        federation
            .state
            .node_standing(&node, &cluster, [key; 32].into())
    }

    #[test]
    fn a_certificate_counts_for_the_key_that_was_enrolled_and_for_no_other() {
        let mut federation = Builder::new();
        enroll(&mut federation, "n", 1).unwrap();
        assert_eq!(standing(&federation, "n", 1), NodeStanding::Enrolled);
        assert_eq!(standing(&federation, "n", 2), NodeStanding::Replaced);
        assert_eq!(standing(&federation, "m", 1), NodeStanding::Unknown);
        let (node, other) = ("n".parse().unwrap(), "b".parse().unwrap());
        let moved = federation
            .state
            .node_standing(&node, &other, [1; 32].into());
        assert_eq!(moved, NodeStanding::Unknown);
    }

    #[test]
    fn a_removed_and_re_enrolled_nodes_old_certificate_is_worth_nothing() {
        let mut federation = Builder::new();
        enroll(&mut federation, "n", 1).unwrap();
        remove(&mut federation, "n", Farewell::Silent).unwrap();
        assert_eq!(standing(&federation, "n", 1), NodeStanding::Unknown);
        enroll(&mut federation, "n", 2).unwrap();
        assert_eq!(standing(&federation, "n", 1), NodeStanding::Replaced);
        assert_eq!(standing(&federation, "n", 2), NodeStanding::Enrolled);
    }

    #[test]
    fn a_revoked_node_is_out_of_every_mesh_and_its_addresses_are_nobodys() {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        federation.enroll("a-1", "a");
        federation.enroll("b-1", "b");
        let gone = addresses_of(&federation.state, "a-1");
        revoke(&mut federation, "a-1").unwrap();
        let inventory = federation.state.inventory();
        let plan = plan::plan(inventory, &"b-1".parse().unwrap(), &|_, _, _| None).unwrap();
        assert!(plan.meshes[0].peers.is_empty(), "{plan:?}");
        assert!(plan::plan(inventory, &"a-1".parse().unwrap(), &|_, _, _| None).is_none());
        assert!(inventory.retired[&mesh_name()].contains(&gone[0]));
        federation.enroll("a-2", "a");
        assert_ne!(addresses_of(&federation.state, "a-2"), gone);
    }

    #[test]
    fn a_revoked_name_is_free_once_it_is_removed_and_its_key_is_free_with_it() {
        let mut federation = Builder::new();
        enroll(&mut federation, "n", 1).unwrap();
        revoke(&mut federation, "n").unwrap();
        assert_eq!(standing(&federation, "n", 1), NodeStanding::Revoked);
        let taken = enroll(&mut federation, "n", 2).unwrap_err();
        assert!(
            taken.findings[0].detail.contains("hanse node remove n"),
            "{taken:?}"
        );
        let copied = enroll(&mut federation, "m", 1).unwrap_err();
        assert_eq!(copied.findings[0].summary, "Key of another node");
        remove(&mut federation, "n", Farewell::Silent).unwrap();
        enroll(&mut federation, "n", 2).unwrap();
    }

    #[test]
    fn a_node_that_still_reports_is_removed_only_by_force() {
        let mut federation = Builder::new();
        enroll(&mut federation, "n", 1).unwrap();
        let refused = remove(&mut federation, "n", Farewell::Reporting).unwrap_err();
        assert!(
            refused.findings[0].detail.contains("--force"),
            "{refused:?}"
        );
        remove(&mut federation, "n", Farewell::Forced).unwrap();
        let again = remove(&mut federation, "n", Farewell::Forced).unwrap_err();
        assert_eq!(again.kind, RefusalKind::NotFound);
    }

    #[test]
    fn a_voter_goes_only_after_its_vote() {
        let mut federation = Builder::new();
        federation
            .ask(Request::Enroll {
                node: "v".parse().unwrap(),
                cluster: "a".parse().unwrap(),
                voter: true,
                advertise: None,
                identity_key: Some([1; 32].into()),
                token: None,
                sealing_key: None,
                boxes: Vec::new(),
            })
            .unwrap();
        for refused in [
            revoke(&mut federation, "v"),
            remove(&mut federation, "v", Farewell::Forced),
            remove(&mut federation, "v", Farewell::Leaves),
        ] {
            let detail = &refused.unwrap_err().findings[0].detail;
            assert!(detail.contains("hanse voter remove v"), "{detail}");
        }
        assert_eq!(standing(&federation, "v", 1), NodeStanding::Enrolled);
    }

    #[test]
    fn a_voter_that_is_lost_goes_by_force_while_votes_can_not_be_ended() {
        let mut federation = Builder::new();
        federation.state = FederationState::new("test".parse().unwrap());
        federation
            .ask(Request::Enroll {
                node: "v".parse().unwrap(),
                cluster: "a".parse().unwrap(),
                voter: true,
                advertise: None,
                identity_key: Some([1; 32].into()),
                token: None,
                sealing_key: None,
                boxes: Vec::new(),
            })
            .unwrap();
        let refused = remove(&mut federation, "v", Farewell::Silent).unwrap_err();
        assert!(
            refused.findings[0].detail.contains("--force"),
            "{refused:?}"
        );
        remove(&mut federation, "v", Farewell::Forced).unwrap();
        assert_eq!(standing(&federation, "v", 1), NodeStanding::Unknown);
    }

    #[test]
    fn a_node_of_a_version_that_kept_no_keys_is_bound_to_the_first_that_it_shows() {
        let mut federation = Builder::new();
        federation.enroll("old", "a");
        assert_eq!(standing(&federation, "old", 7), NodeStanding::Enrolled);
        let mut bind = |key: u8| {
            federation.ask(Request::BindKey {
                node: "old".parse().unwrap(),
                identity_key: [key; 32].into(),
            })
        };
        bind(7).unwrap();
        bind(7).unwrap();
        bind(8).unwrap_err();
        assert_eq!(standing(&federation, "old", 8), NodeStanding::Replaced);
    }
}
