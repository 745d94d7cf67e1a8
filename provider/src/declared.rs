//! What a kind of declared object has to say of itself: its names, and how it maps to the wire.
//!
//! A resource is its model and this; [`crate::declaration`] is the rest, once.

use std::collections::BTreeMap;

use hanse_client::proto;
use hanse_client::{Snapshot, convert};
use hanse_core::finding::Finding;
use hanse_core::name::FederationName;
use hanse_core::object::{Object, ObjectRef};
use terraform_plugin::{Attr, Cx, Diagnostic, Diagnostics, Model, PlanCx, async_trait};

use crate::diagnostics::of_findings;
use crate::session::Session;
use crate::unknowns::Unknowns;

/// A kind of object that users declare.
#[async_trait]
pub(crate) trait Declared: Model + Clone {
    /// The resource's type.
    const TYPE_NAME: &'static str;
    /// What it is called in a sentence.
    const NOUN: &'static str;
    /// How its import id is written.
    const ID_FORM: &'static str = "FEDERATION/NAME";

    /// How it is imported and what the state calls it, once it is known.
    fn id(&self) -> &Attr<String>;

    /// Which object this is; none while its name is not known, or is no name.
    fn reference(&self) -> Option<ObjectRef>;

    /// The object of an import id.
    fn reference_of_id(federation: &FederationName, id: &str) -> Option<ObjectRef>;

    /// The object as it is sent. Unknown values are replaced and remembered.
    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::object::Kind;

    /// The secrets that the configuration gives beside the object; only an apply has them.
    fn secrets(&self) -> Vec<proto::PlanSecretValue> {
        Vec::new()
    }

    /// The model of an object that was read; none: it is of another kind.
    fn from_wire(kind: proto::object::Kind) -> Option<Self>;

    /// Fills what the federation or the other attributes determine.
    fn complete(&mut self, snapshot: &Snapshot);

    /// Takes over the defaults of attributes that a state of an earlier version doesn't have.
    fn fill(&mut self, _found: Self) {}

    /// Takes over what only Terraform knows.
    fn keep_local(&mut self, prior: &Self);

    /// Says what a plan should warn about, beside what `core` finds.
    fn warn(&self, _cx: &PlanCx<Session>, _prior: Option<&Self>) {}

    /// Takes over what the federation changes by itself, as it is now.
    async fn observe(&mut self, _cx: &Cx<Session>) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Waits until the change has taken effect on the nodes.
    async fn settle(&self, _cx: &Cx<Session>, _change: &Change) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// What an apply does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

/// A change that was committed.
#[derive(Debug)]
pub(crate) struct Change {
    /// What was done.
    pub(crate) operation: Operation,
    /// The federation's revision that carries it.
    pub(crate) revision: u64,
    /// The object's own revision since: an older one, where nothing of its spec is new.
    pub(crate) spec_revision: u64,
    /// How long to wait for its effect.
    pub(crate) limit: std::time::Duration,
    /// What the federation held before; only of a delete, which leaves nobody else to ask.
    pub(crate) before: Option<Snapshot>,
}

/// Checks that a word says what an apply waits for.
pub(crate) fn wait_for(word: &str) -> Result<(), String> {
    match word {
        "proved" | "accepted" => Ok(()),
        other => Err(format!(
            "`{other}` is not allowed here: write one of proved, accepted"
        )),
    }
}

/// Text, or null where it is empty.
pub(crate) fn non_empty(text: String) -> Attr<String> {
    Attr::from((!text.is_empty()).then_some(text))
}

/// A list of which everything is known.
pub(crate) fn known_list(list: Vec<String>) -> Attr<Vec<Attr<String>>> {
    Attr::Known(list.into_iter().map(Attr::Known).collect())
}

/// A map of which everything is known.
pub(crate) fn known_map(map: BTreeMap<String, String>) -> Attr<BTreeMap<String, Attr<String>>> {
    Attr::Known(
        map.into_iter()
            .map(|(key, text)| (key, Attr::Known(text)))
            .collect(),
    )
}

/// The object of a model, or what is wrong with it.
pub(crate) fn object<M: Declared>(
    model: &M,
    unknowns: &mut Unknowns,
) -> Result<Object, Vec<Finding>> {
    let kind = Some(model.to_wire(unknowns));
    match unknowns.missing() {
        missing if missing.is_empty() => convert::object_from_proto(&proto::Object { kind }),
        missing => Err(missing),
    }
}

/// The object of a model in which everything is known, as at apply.
pub(crate) fn known_object<M: Declared>(model: &M) -> Result<Object, Diagnostics> {
    object(model, &mut Unknowns::default()).map_err(|findings| of_findings(&findings))
}

/// The model of an object that was read.
pub(crate) fn model<M: Declared>(object: &Object) -> Result<M, Diagnostics> {
    convert::object_to_proto(object)
        .kind
        .and_then(M::from_wire)
        .ok_or_else(|| {
            let detail = "The federation answered with an object of another kind.";
            Diagnostic::error(format!("Unable to read {}", M::NOUN), detail).into()
        })
}

/// The name in `federation/name`.
pub(crate) fn name_within<'a>(federation: &FederationName, id: &'a str) -> Option<&'a str> {
    id.split_once('/')
        .filter(|(named, _)| *named == federation.as_str())
        .map(|(_, name)| name)
}
