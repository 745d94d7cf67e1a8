//! The replicated state machine: entries in, the same state on every voter out.
//!
//! It never decides, refuses or reads a clock: [`crate::admission`] did, before the commit.

mod plans;
mod restore;

use std::collections::BTreeMap;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::authority::AuthorityChange;
use crate::command::{AddressChange, Batch, Command, Entry, Event, Outcome, TokenUse};
use crate::dr::record::PlanRecord;
use crate::health::NodeHealth;
use crate::history::{Happened, History};
use crate::identities::{Identities, IdentityKey, NodeStanding};
use crate::inventory::{Inventory, NodeRecord};
use crate::lease::Leases;
use crate::level::FeatureLevel;
use crate::name::{ClusterName, FederationName, NodeName, PlanName};
use crate::secret::{SecretName, Secrets};
use crate::voters::vote::{Vote, VoteChange};

/// How many request ids are remembered, so that a retry never happens twice.
const REQUESTS_REMEMBERED_MAX: usize = 1024;

/// What all voters keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationState {
    revision: u64,
    inventory: Inventory,
    tokens: OrdMap<String, TokenRecord>,
    requests: Vector<(String, u64)>,
    #[serde(default, skip_serializing_if = "Identities::is_empty")]
    identities: Identities,
    #[serde(default, skip_serializing_if = "History::is_empty")]
    history: History,
    #[serde(default, skip_serializing_if = "Secrets::is_empty")]
    secrets: Secrets,
    #[serde(default)]
    decided_unix_s: u64,
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "FeatureLevel::is_first")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    feature_level: FeatureLevel,
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "Leases::is_empty")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    leases: Leases,
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "OrdMap::is_empty")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    plans: OrdMap<PlanName, PlanRecord>,
}

/// How often a token was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// How many nodes it let in.
    pub uses: u32,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: u64,
}

impl FederationState {
    /// A federation in which nothing has happened.
    #[must_use]
    pub fn new(name: FederationName) -> Self {
        Self {
            revision: 0,
            inventory: Inventory::new(name),
            tokens: OrdMap::new(),
            requests: Vector::new(),
            identities: Identities::default(),
            history: History::default(),
            secrets: Secrets::default(),
            decided_unix_s: 0,
            feature_level: FeatureLevel::FIRST,
            leases: Leases::default(),
            plans: OrdMap::new(),
        }
    }

    /// A new federation, whose first voter is of this version: it begins at the highest level.
    #[must_use]
    pub fn founded(name: FederationName) -> Self {
        Self {
            feature_level: FeatureLevel::SUPPORTED,
            ..Self::new(name)
        }
    }

    /// How many entries were applied.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything that is declared and every node that is enrolled.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// When the latest entry was decided, in seconds since 1970: it is not earlier now.
    #[must_use]
    pub fn decided_unix_s(&self) -> u64 {
        self.decided_unix_s
    }

    /// The level that all voters share; the state is written in its form.
    #[must_use]
    pub fn feature_level(&self) -> FeatureLevel {
        self.feature_level
    }

    /// The federation's secrets, sealed to those who are entitled to them.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Who holds what.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// How far the DR plans are.
    #[must_use]
    pub fn plans(&self) -> &OrdMap<PlanName, PlanRecord> {
        &self.plans
    }

    /// The tokens that were used and have not ended long ago.
    #[must_use]
    pub fn tokens(&self) -> &OrdMap<String, TokenRecord> {
        &self.tokens
    }

    /// The keys that nodes were enrolled with, and what was revoked.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// What a certificate for that key, which names that node of that member cluster, is worth.
    #[must_use]
    pub fn node_standing(
        &self,
        node: &NodeName,
        cluster: &ClusterName,
        key: IdentityKey,
    ) -> NodeStanding {
        if self.identities.revoked_nodes().contains_key(node) {
            return NodeStanding::Revoked;
        }
        match self.inventory.nodes.get(node) {
            Some(_) if self.identities.is_awaited(node) => NodeStanding::Unknown,
            Some(record) if record.cluster == *cluster => match self.identities.key_of(node) {
                Some(own) if own != key => NodeStanding::Replaced,
                Some(_) | None => NodeStanding::Enrolled,
            },
            Some(_) | None => NodeStanding::Unknown,
        }
    }

    /// What happened lately.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The revision at which a request was committed, if it is remembered.
    #[must_use]
    pub fn committed_at(&self, request_id: &str) -> Option<u64> {
        let found = self.requests.iter().find(|(id, _)| id == request_id);
        found.map(|(_, revision)| *revision)
    }

    /// Applies a batch that was committed in a term, if this is the state that it was decided on, and
    /// the term too where that matters.
    pub fn apply_batch(&mut self, batch: &Batch, term: u64) -> Outcome {
        let is_of_term = batch.decided_in_term.is_none_or(|decided| decided == term);
        if batch.base_revision != self.revision || !is_of_term {
            return Outcome::Stale {
                revision: self.revision,
            };
        }
        for entry in &batch.entries {
            self.apply(entry);
        }
        Outcome::Applied {
            revision: self.revision,
        }
    }

    /// Applies a committed entry. The revision rises by one, whatever the entry holds.
    pub fn apply(&mut self, entry: &Entry) -> Vec<Event> {
        self.revision += 1;
        if self.requests.len() >= REQUESTS_REMEMBERED_MAX {
            self.requests.pop_front();
        }
        self.requests
            .push_back((entry.request_id.clone(), self.revision));
        self.decided_unix_s = self.decided_unix_s.max(entry.at_unix_s);
        let events = self.take_effect(entry);
        self.secrets.keep_to_voters(&self.inventory);
        for event in &events {
            self.history.push(Happened {
                revision: self.revision,
                at_unix_s: entry.at_unix_s,
                event: event.clone(),
            });
        }
        events
    }

    fn take_effect(&mut self, entry: &Entry) -> Vec<Event> {
        match &entry.command {
            Command::Put {
                object,
                addresses,
                boxes,
            } => {
                let reference = object.reference();
                let current = self.inventory.get(&reference);
                let is_new = current.is_none_or(|stored| stored.retiring);
                self.inventory.put(object.clone(), self.revision);
                self.secrets.put(boxes);
                self.declare_plan(object, entry.at_unix_s);
                self.change_addresses(addresses);
                self.inventory.drop_unreferenced();
                vec![if is_new {
                    Event::Declared(reference)
                } else {
                    Event::Changed(reference)
                }]
            }
            Command::Remove { reference } => {
                self.inventory.remove(reference);
                self.forget_plan(reference);
                vec![Event::Removed(reference.clone())]
            }
            Command::Enroll {
                node,
                cluster,
                voter,
                advertise,
                identity_key,
                token,
                forget_tokens,
                addresses,
                sealing_key,
                boxes,
            } => {
                let meshes = BTreeMap::new();
                let (cluster, advertise) = (cluster.clone(), advertise.clone());
                let record = NodeRecord {
                    cluster,
                    voter: *voter,
                    advertise,
                    meshes,
                    enrolled_revision: self.revision,
                    health: NodeHealth::default(),
                    sealing_key: *sealing_key,
                    certified_by: None,
                    vote: Vote::default(),
                };
                self.inventory.nodes.insert(node.clone(), record);
                self.identities
                    .bind(node.clone(), *identity_key, self.revision);
                self.use_token(token.as_ref(), forget_tokens);
                self.change_addresses(addresses);
                self.secrets.put(boxes);
                vec![Event::Enrolled(node.clone())]
            }
            Command::Rejoin {
                node,
                voter,
                advertise,
                identity_key,
                token,
                forget_tokens,
                addresses,
                sealing_key,
                boxes,
            } => {
                if let Some(record) = self.inventory.nodes.get_mut(node) {
                    record.voter = *voter;
                    record.advertise.clone_from(advertise);
                    record.enrolled_revision = self.revision;
                    record.sealing_key = *sealing_key;
                    record.vote = Vote::default();
                }
                self.identities
                    .bind(node.clone(), *identity_key, self.revision);
                self.use_token(token.as_ref(), forget_tokens);
                self.change_addresses(addresses);
                self.secrets.put(boxes);
                vec![Event::Rejoined(node.clone())]
            }
            Command::SetKey {
                node,
                mesh,
                public_key,
            } => {
                let place = self
                    .inventory
                    .nodes
                    .get_mut(node)
                    .and_then(|record| record.meshes.get_mut(mesh));
                if let Some(place) = place {
                    place.public_key = Some(*public_key);
                }
                vec![Event::KeyChanged(node.clone(), mesh.clone())]
            }
            Command::BindKey { node, identity_key } => {
                self.identities
                    .bind(node.clone(), Some(*identity_key), self.revision);
                Vec::new()
            }
            Command::RevokeNode { node, addresses } => {
                self.change_addresses(addresses);
                if let Some(record) = self.inventory.nodes.remove(node) {
                    self.identities
                        .revoke_node(node.clone(), record.cluster, self.revision);
                }
                vec![Event::NodeRevoked(node.clone())]
            }
            Command::RemoveNode { node, addresses } => {
                self.change_addresses(addresses);
                self.inventory.nodes.remove(node);
                self.identities.forget_node(node, self.revision);
                vec![Event::NodeRemoved(node.clone())]
            }
            Command::RevokeUser {
                name,
                revoked,
                forget_users,
            } => {
                self.identities
                    .revoke_user(name.clone(), *revoked, forget_users, self.revision);
                vec![Event::UserRevoked(name.clone())]
            }
            Command::SetHealth {
                node,
                health,
                reason,
            } => {
                if let Some(record) = self.inventory.nodes.get_mut(node) {
                    record.health = NodeHealth {
                        state: *health,
                        reason: reason.clone(),
                        since_unix_s: entry.at_unix_s,
                    };
                }
                vec![Event::HealthChanged {
                    node: node.clone(),
                    health: *health,
                    reason: reason.clone(),
                }]
            }
            Command::Authority(change) => self.change_authorities(change, entry.at_unix_s),
            Command::Vote(change) => self.change_vote(change),
            Command::Recall {
                node,
                dropped,
                changes,
            } => vec![Event::Recalled {
                node: node.clone(),
                dropped: *dropped,
                changes: changes.clone(),
            }],
            Command::Lease(change) => {
                self.leases.apply(change, self.revision);
                Vec::new()
            }
            Command::Plan {
                plan,
                change,
                asked_by,
            } => self.change_plan(plan, (change, asked_by.as_ref()), entry.at_unix_s),
            Command::Seal { boxes } => {
                self.secrets.put(boxes);
                Vec::new()
            }
            Command::RaiseLevel { level } => {
                self.feature_level = self.feature_level.max(*level);
                vec![Event::LevelRaised(*level)]
            }
        }
    }

    fn change_vote(&mut self, change: &VoteChange) -> Vec<Event> {
        let node = change.node().clone();
        let Some(record) = self.inventory.nodes.get_mut(&node) else {
            return Vec::new();
        };
        change.apply(record, self.revision);
        vec![match change {
            VoteChange::Called { .. } => Event::VoterCalled(node),
            VoteChange::Granted { boxes, .. } => {
                self.secrets.put(boxes);
                Event::VoterAdded(node)
            }
            VoteChange::Dismissed { .. } => Event::VoterDismissed(node),
            VoteChange::Ended { .. } => Event::VoterRemoved(node),
        }]
    }

    fn change_authorities(&mut self, change: &AuthorityChange, at_unix_s: u64) -> Vec<Event> {
        if let Some(number) = self.inventory.authorities.apply(change, at_unix_s) {
            self.secrets.forget(&SecretName::AuthorityKey(number));
        }
        match change {
            AuthorityChange::Introduced { number, boxes, .. } => {
                self.secrets.put(boxes);
                vec![Event::AuthorityIntroduced(*number)]
            }
            AuthorityChange::Signs { number, .. } => vec![Event::AuthoritySigns(*number)],
            AuthorityChange::Retired { number } => vec![Event::AuthorityRetired(*number)],
            AuthorityChange::Bound { .. } => Vec::new(),
            AuthorityChange::Certified { nodes } => {
                for (node, number) in nodes {
                    if let Some(record) = self.inventory.nodes.get_mut(node) {
                        record.certified_by = Some(*number);
                    }
                }
                Vec::new()
            }
        }
    }

    fn change_addresses(&mut self, changes: &[AddressChange]) {
        for change in changes {
            if !change.retired.is_empty() {
                let retired = self
                    .inventory
                    .retired
                    .entry(change.mesh.clone())
                    .or_default();
                retired.extend(change.retired.iter().copied());
            }
            let Some(record) = self.inventory.nodes.get_mut(&change.node) else {
                continue;
            };
            if change.addresses.is_empty() {
                record.meshes.remove(&change.mesh);
            } else {
                let place = record.meshes.entry(change.mesh.clone()).or_default();
                place.addresses.clone_from(&change.addresses);
            }
        }
    }

    fn use_token(&mut self, token: Option<&TokenUse>, forget: &[String]) {
        for id in forget {
            self.tokens.remove(id);
        }
        if let Some(token) = token {
            let expires_unix_s = token.expires_unix_s;
            let record = TokenRecord {
                uses: 0,
                expires_unix_s,
            };
            self.tokens.entry(token.id.clone()).or_insert(record).uses += 1;
        }
    }
}
