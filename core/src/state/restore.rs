//! What of a federation's state goes into a backup, and what of a backup begins a new federation.
//!
//! A restored federation is another one of the same name: its authority, its secrets and its voters
//! are new, and it never takes anything over from the one that the backup was made of but what is
//! said here. Both functions name every field, so that whoever adds one decides what becomes of it.

use imbl::{OrdMap, Vector};

use super::FederationState;
use crate::authority::Authorities;
use crate::command::Event;
use crate::health::NodeHealth;
use crate::history::Happened;
use crate::inventory::{Inventory, NodeRecord};
use crate::level::FeatureLevel;
use crate::secret::{SecretName, Secrets};
use crate::voters::vote::Vote;

/// Revisions of a restored federation begin at the moment of the restore, so many to a second: more
/// than any federation commits. So whatever is ordered by revisions, and every epoch drawn from
/// them, is above all that came from the backup or from the old federation after it.
const REVISIONS_IN_A_SECOND: u64 = 1_000_000;
/// A clock that is wrong at the restore leaves this much between the backup and what comes.
const REVISIONS_BETWEEN: u64 = 1_000_000_000_000;
/// Whatever a file says, there is room above.
const REVISION_MAX: u64 = u64::MAX / 2;

impl FederationState {
    /// The state as it goes into a backup: without secrets that are worth nothing in a restore.
    /// What pre-shared keys are derived from stays, sealed to the voters as it was.
    #[must_use]
    pub fn for_backup(&self) -> Self {
        let Self {
            revision,
            inventory,
            tokens: _,
            requests: _,
            identities,
            history,
            secrets,
            decided_unix_s,
            feature_level,
            leases,
            plans,
        } = self;
        let mut secrets = secrets.clone();
        secrets.keep_only(&SecretName::PresharedKeys);
        Self {
            revision: *revision,
            inventory: inventory.clone(),
            // Signed by an authority that a restore does not trust.
            tokens: OrdMap::new(),
            // Of callers that a restore does not know.
            requests: Vector::new(),
            identities: identities.clone(),
            history: history.clone(),
            secrets,
            decided_unix_s: *decided_unix_s,
            feature_level: *feature_level,
            leases: leases.clone(),
            plans: plans.clone(),
        }
    }

    /// The state with which a new federation begins: what was declared stands, and every node's
    /// place is kept until it comes back. It has no voter, no authority and no secret yet.
    #[must_use]
    pub fn restored(self, now_unix_s: u64) -> Self {
        let Self {
            revision: from_revision,
            inventory,
            tokens: _,
            requests: _,
            identities,
            mut history,
            secrets: _,
            decided_unix_s,
            feature_level,
            leases,
            plans,
        } = self;
        let revision = first_revision(from_revision, now_unix_s);
        let identities = identities.awaiting(inventory.nodes.keys(), revision);
        history.push(Happened {
            revision,
            at_unix_s: now_unix_s,
            event: Event::Restored { from_revision },
        });
        Self {
            revision,
            inventory: restored_inventory(inventory),
            tokens: OrdMap::new(),
            requests: Vector::new(),
            identities,
            history,
            secrets: Secrets::default(),
            decided_unix_s: decided_unix_s.max(now_unix_s),
            // Its first voter is of this version.
            feature_level: feature_level.max(FeatureLevel::SUPPORTED),
            // Whoever held one may hold it still, by the word of the old federation.
            leases: leases.raised(revision),
            plans: plans
                .into_iter()
                .map(|(name, record)| (name, record.restored(revision)))
                .collect(),
        }
    }
}

fn first_revision(from_revision: u64, now_unix_s: u64) -> u64 {
    let by_time = now_unix_s.saturating_mul(REVISIONS_IN_A_SECOND);
    let first = match by_time > from_revision {
        true => by_time,
        false => from_revision.saturating_add(REVISIONS_BETWEEN),
    };
    first.min(REVISION_MAX)
}

fn restored_inventory(inventory: Inventory) -> Inventory {
    let Inventory {
        federation,
        clusters,
        meshes,
        dr_plans,
        nodes,
        retired,
        authorities: _,
    } = inventory;
    let nodes = nodes
        .into_iter()
        .map(|(name, record)| (name, restored_node(record)));
    Inventory {
        federation,
        clusters,
        meshes,
        dr_plans,
        nodes: nodes.collect(),
        retired,
        authorities: Authorities::default(),
    }
}

/// The node's places in the meshes, with its public keys: until it is back, those who are go on
/// with what it had.
fn restored_node(record: NodeRecord) -> NodeRecord {
    let NodeRecord {
        cluster,
        voter: _,
        advertise: _,
        enrolled_revision,
        meshes,
        health: _,
        sealing_key: _,
        certified_by: _,
        vote: _,
    } = record;
    NodeRecord {
        cluster,
        voter: false,
        advertise: None,
        enrolled_revision,
        meshes,
        health: NodeHealth::default(),
        sealing_key: None,
        certified_by: None,
        vote: Vote::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{Refusal, RefusalKind};
    use crate::command::{Request, TokenClaim};
    use crate::identities::NodeStanding;
    use crate::name::NodeName;
    use crate::testing::{Builder, addresses_of};

    const NOW_UNIX_S: u64 = 1_800_000_000;

    fn old_federation() -> Builder {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        federation.enroll("a-1", "a");
        federation.enroll("b-1", "b");
        federation.enroll("b-2", "b");
        for (node, key) in [("a-1", 1), ("b-1", 2), ("b-2", 3)] {
            let node = node.parse().unwrap();
            let identity_key = [key; 32].into();
            federation
                .ask(Request::BindKey { node, identity_key })
                .unwrap();
        }
        federation
    }

    fn restored() -> Builder {
        let mut federation = old_federation();
        federation.state = federation.state.for_backup().restored(NOW_UNIX_S);
        federation.now_unix_s = NOW_UNIX_S;
        federation
    }

    fn join(
        federation: &mut Builder,
        node: &str,
        cluster: &str,
        (key, token): (u8, &str),
    ) -> Result<(), Refusal> {
        federation.ask(Request::Enroll {
            node: node.parse().unwrap(),
            cluster: cluster.parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: Some([key; 32].into()),
            token: Some(TokenClaim {
                id: token.to_owned(),
                uses_max: 1,
                expires_unix_s: NOW_UNIX_S + 60,
            }),
            sealing_key: None,
            boxes: Vec::new(),
        })
    }

    fn standing(federation: &Builder, node: &str, cluster: &str, key: u8) -> NodeStanding {
        let (node, cluster) = (node.parse().unwrap(), cluster.parse().unwrap());
        federation
            .state
            .node_standing(&node, &cluster, [key; 32].into())
    }

    #[test]
    fn what_was_declared_stands_and_every_node_keeps_its_place() {
        let (old, new) = (old_federation().state, restored().state);
        let (before, after) = (old.inventory(), new.inventory());
        assert_eq!(before.clusters, after.clusters);
        assert_eq!(before.meshes, after.meshes);
        assert_eq!(before.retired, after.retired);
        for (name, record) in &before.nodes {
            assert_eq!(after.nodes[name].meshes, record.meshes);
            assert!(!after.nodes[name].voter);
        }
        assert!(after.authorities.is_empty() && new.secrets().is_empty());
    }

    #[test]
    fn its_revisions_are_above_all_that_came_before_whatever_the_clock_says() {
        let old = old_federation().state;
        let (first, second) = (old.clone().restored(NOW_UNIX_S), old.restored(0));
        assert!(first.revision() >= NOW_UNIX_S * 1_000_000);
        assert!(second.revision() > 1_000_000_000);
        let again = first.clone().restored(NOW_UNIX_S + 5);
        assert!(again.revision() > first.revision() + 1_000_000);
        // The same file, restored later, begins above all that came of it before.
        let later = first.clone().restored(NOW_UNIX_S + 6);
        assert!(later.revision() >= again.revision() + 1_000_000);
        // Programs that read JSON know whole numbers up to 2^53.
        assert!(again.revision() < 1 << 53);
    }

    #[test]
    fn nobodys_certificate_counts_until_the_node_is_back() {
        let mut federation = restored();
        assert_eq!(standing(&federation, "b-1", "b", 2), NodeStanding::Unknown);
        let held = addresses_of(&federation.state, "b-1");
        let key = |federation: &Builder| {
            let record = &federation.state.inventory().nodes[&"b-1".parse::<NodeName>().unwrap()];
            record.meshes.values().next().unwrap().public_key
        };
        let public_key = key(&federation);
        join(&mut federation, "b-1", "b", (2, "t1")).unwrap();
        assert_eq!(standing(&federation, "b-1", "b", 2), NodeStanding::Enrolled);
        assert_eq!(addresses_of(&federation.state, "b-1"), held);
        assert_eq!(key(&federation), public_key);
    }

    #[test]
    fn a_node_comes_back_once_by_a_token_of_its_own_member_cluster() {
        let mut federation = restored();
        let foreign = join(&mut federation, "b-1", "a", (9, "t1")).unwrap_err();
        assert_eq!(foreign.findings[0].summary, "Another member cluster");
        assert!(
            foreign.findings[0].detail.contains("--cluster b"),
            "{foreign:?}"
        );
        let stranger = join(&mut federation, "b-1", "b", (9, "t2")).unwrap_err();
        assert_eq!(stranger.findings[0].summary, "Another machine");
        join(&mut federation, "b-1", "b", (2, "t2")).unwrap();
        let again = join(&mut federation, "b-1", "b", (8, "t3")).unwrap_err();
        assert_eq!(again.findings[0].summary, "Name taken");
        let used = join(&mut federation, "b-2", "b", (3, "t2")).unwrap_err();
        assert_eq!(used.kind, RefusalKind::TokenUsed);
    }

    #[test]
    fn no_machine_takes_the_place_of_another_one_that_is_awaited() {
        let mut federation = restored();
        let other = join(&mut federation, "b-2", "b", (2, "t1")).unwrap_err();
        assert_eq!(other.findings[0].summary, "Key of another node");
        let renamed = join(&mut federation, "b-3", "b", (2, "t1")).unwrap_err();
        assert_eq!(renamed.findings[0].summary, "Key of another node");
    }

    #[test]
    fn a_node_that_is_new_gets_an_address_that_nobody_awaited_has() {
        let mut federation = restored();
        join(&mut federation, "b-9", "b", (9, "t1")).unwrap();
        let fresh = addresses_of(&federation.state, "b-9");
        for node in ["a-1", "b-1", "b-2"] {
            assert_ne!(addresses_of(&federation.state, node), fresh, "{node}");
        }
    }

    #[test]
    fn whoever_was_revoked_stays_out_and_an_awaited_node_can_be_revoked_and_removed() {
        let mut federation = old_federation();
        let node: NodeName = "b-1".parse().unwrap();
        federation
            .ask(Request::RevokeNode { node: node.clone() })
            .unwrap();
        federation.state = federation.state.for_backup().restored(NOW_UNIX_S);
        join(&mut federation, "b-1", "b", (2, "t1")).unwrap_err();
        join(&mut federation, "b-7", "b", (2, "t1")).unwrap_err();

        let node: NodeName = "b-2".parse().unwrap();
        federation
            .ask(Request::RevokeNode { node: node.clone() })
            .unwrap();
        assert!(!federation.state.identities().is_awaited(&node));
        let copied = join(&mut federation, "b-8", "b", (3, "t1")).unwrap_err();
        assert_eq!(copied.findings[0].summary, "Key of another node");
    }

    #[test]
    fn it_says_in_its_history_where_it_comes_from() {
        let (old, new) = (old_federation().state, restored().state);
        let last = new.history().since(old.revision() + 1).last().unwrap();
        assert_eq!(last.revision, new.revision());
        let from_revision = old.revision();
        assert_eq!(last.event, Event::Restored { from_revision });
    }

    #[test]
    fn a_restored_state_is_written_and_read_back() {
        let state = restored().state;
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(
            serde_json::from_str::<FederationState>(&text).unwrap(),
            state
        );
    }
}
