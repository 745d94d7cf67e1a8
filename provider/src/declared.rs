//! What all declared objects do alike: plan, create, read, update, delete, import.
//!
//! A resource is its model and how it maps to the wire ([`Declared`]); this file is the rest,
//! once. Each object's own spec revision travels in Terraform's private data and is the guard
//! against lost updates: a change that was planned against an older one is refused.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use hanse_client::proto;
use hanse_client::{Snapshot, client, convert};
use hanse_core::check;
use hanse_core::finding::Finding;
use hanse_core::inventory::Stored;
use hanse_core::name::FederationName;
use hanse_core::object::{Object, ObjectRef};
use terraform_plugin::{
    Attr, Cx, DeferReason, Diagnostic, Diagnostics, Failure, Model, PlanAction, PlanCx, Resource,
    async_trait,
};

use crate::diagnostics::{of_error, of_finding, of_findings};
use crate::session::Session;
use crate::timeouts::{Operation, Timeouts};
use crate::unknowns::Unknowns;

/// Where the spec revision is kept in private data.
const REVISION: &str = "revision";

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

    /// The model of an object that was read; none: it is of another kind.
    fn from_wire(kind: proto::object::Kind) -> Option<Self>;

    /// Fills what the federation or the other attributes determine.
    fn complete(&mut self, snapshot: &Snapshot);

    /// Takes over what only Terraform knows.
    fn keep_local(&mut self, prior: &Self);

    /// The user's time limits.
    fn timeouts(&self) -> Option<&Timeouts>;

    /// Waits until the change has taken effect on the nodes.
    async fn settle(&self, _cx: &Cx<Session>, _change: &Change) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// A change that was committed.
#[derive(Debug)]
pub(crate) struct Change {
    /// What was done.
    pub(crate) operation: Operation,
    /// The federation's revision that carries it.
    pub(crate) revision: u64,
    /// How long to wait for its effect.
    pub(crate) limit: std::time::Duration,
    /// What the federation held before.
    pub(crate) before: Snapshot,
}

/// The resource of one kind of object.
pub(crate) struct Declaration<M>(PhantomData<fn() -> M>);

impl<M: Declared> Declaration<M> {
    /// The resource.
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    async fn apply(
        cx: &Cx<Session>,
        operation: Operation,
        expected_revision: u64,
        mut plan: M,
    ) -> Result<M, Failure<M>> {
        let session = cx.client()?;
        let what = describe::<M>(operation, &plan);
        let object = known_object(&plan)?;
        let before = session.snapshot().await?;
        let federation = session.federation()?;
        let request_id = client::request_id().map_err(|error| of_error(&what, &error))?;
        let applied = federation
            .apply(&object, expected_revision, &request_id)
            .await
            .map_err(|error| of_error(&what, &error))?;
        remember(cx, applied.stored.revision);
        session.planned(&object);
        plan.complete(&before);
        let limit = operation.limit(plan.timeouts());
        let change = Change {
            operation,
            revision: applied.revision,
            limit,
            before,
        };
        match plan.settle(cx, &change).await {
            Ok(()) => Ok(plan),
            Err(diagnostics) => Err(Failure::partial(plan, diagnostics)),
        }
    }
}

#[async_trait]
impl<M: Declared> Resource for Declaration<M> {
    type Client = Session;
    type Model = M;
    const TYPE_NAME: &'static str = M::TYPE_NAME;

    async fn validate(&self, _: &Cx<Session>, config: &M, diagnostics: &mut Diagnostics) {
        let mut unknowns = Unknowns::default();
        if let Err(findings) = object(config, &mut unknowns) {
            let known = findings.iter().filter(|finding| !unknowns.hide(finding));
            known.for_each(|finding| diagnostics.push(of_finding(finding)));
        }
    }

    async fn plan(
        &self,
        cx: &PlanCx<Session>,
        prior: Option<&M>,
        _config: &M,
        plan: &mut M,
    ) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            cx.warn(
                "The federation is not known yet",
                "The provider's endpoints or credentials come from something that is not applied \
                 yet. This plan was checked by itself and not against the federation.",
            );
            return Ok(());
        }
        let mut unknowns = Unknowns::default();
        let checked = object(plan, &mut unknowns);
        let snapshot = session.run_snapshot().await?;
        if plan.reference().is_some() && cx.action() != PlanAction::Unchanged {
            plan.complete(snapshot);
        }
        let former = prior.and_then(M::reference);
        if let Some(former) = former.filter(|former| plan.reference().as_ref() != Some(former)) {
            // Renamed: the new object comes instead of the old one, not beside it.
            session.unplanned(&former);
        }
        let Ok(object) = checked else { return Ok(()) };
        let findings = session.planned(&object);
        if cx.action() == PlanAction::Unchanged {
            return Ok(());
        }
        for finding in findings.iter().filter(|finding| !unknowns.hide(finding)) {
            cx.report(of_finding(finding));
        }
        Ok(())
    }

    async fn plan_destroy(&self, cx: &PlanCx<Session>, prior: &M) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        if let Some(reference) = prior.reference().filter(|_| !session.is_unknown()) {
            session.run_snapshot().await?;
            session.unplanned(&reference);
        }
        Ok(())
    }

    async fn create(&self, cx: &Cx<Session>, plan: M) -> Result<M, Failure<M>> {
        Self::apply(cx, Operation::Create, 0, plan).await
    }

    async fn read(&self, cx: &Cx<Session>, state: M) -> Result<Option<M>, Diagnostics> {
        let session = cx.client()?;
        if session.is_unknown() {
            cx.defer(DeferReason::ProviderConfigUnknown)?;
            return Ok(Some(state));
        }
        let Some(reference) = state.reference() else {
            return Ok(Some(state));
        };
        of_this_federation(session, &state).await?;
        let Some(stored) = stored(session, &reference).await? else {
            return Ok(None);
        };
        remember(cx, stored.revision);
        // Another spelling of the same object is no drift.
        if known_object(&state).is_ok_and(|object| object == stored.spec) {
            return Ok(Some(state));
        }
        let mut found = model::<M>(&stored.spec)?;
        found.keep_local(&state);
        found.complete(&session.snapshot().await?);
        Ok(Some(found))
    }

    async fn update(&self, cx: &Cx<Session>, _prior: M, plan: M) -> Result<M, Failure<M>> {
        let revision = remembered(cx)?;
        Self::apply(cx, Operation::Update, revision, plan).await
    }

    async fn delete(&self, cx: &Cx<Session>, state: M) -> Result<(), Diagnostics> {
        let session = cx.client()?;
        let what = describe::<M>(Operation::Delete, &state);
        let Some(reference) = state.reference() else {
            return Ok(());
        };
        of_this_federation(session, &state).await?;
        let before = session.snapshot().await?;
        let request_id = client::request_id().map_err(|error| of_error(&what, &error))?;
        let revision = session
            .federation()?
            .delete(&reference, remembered(cx)?, &request_id)
            .await
            .map_err(|error| of_error(&what, &error))?;
        session.unplanned(&reference);
        let limit = Operation::Delete.limit(state.timeouts());
        state
            .settle(
                cx,
                &Change {
                    operation: Operation::Delete,
                    revision,
                    limit,
                    before,
                },
            )
            .await
    }

    async fn import(&self, cx: &Cx<Session>, id: &str) -> Result<M, Diagnostics> {
        let snapshot = cx.client()?.snapshot().await?;
        adopt(cx, &snapshot, id).await
    }

    async fn import_by_identity(
        &self,
        cx: &Cx<Session>,
        mut identity: M,
    ) -> Result<M, Diagnostics> {
        let snapshot = cx.client()?.snapshot().await?;
        identity.complete(&snapshot);
        let id = identity.id().as_deref().unwrap_or_default();
        adopt(cx, &snapshot, id).await
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

fn object<M: Declared>(model: &M, unknowns: &mut Unknowns) -> Result<Object, Vec<Finding>> {
    convert::object_from_proto(&proto::Object {
        kind: Some(model.to_wire(unknowns)),
    })
}

/// The object of a model in which everything is known, as at apply.
fn known_object<M: Declared>(model: &M) -> Result<Object, Diagnostics> {
    object(model, &mut Unknowns::default()).map_err(|findings| of_findings(&findings))
}

fn model<M: Declared>(object: &Object) -> Result<M, Diagnostics> {
    convert::object_to_proto(object)
        .kind
        .and_then(M::from_wire)
        .ok_or_else(|| {
            let detail = "The federation answered with an object of another kind.";
            Diagnostic::error(format!("Unable to read {}", M::NOUN), detail).into()
        })
}

/// Refuses to take another federation's object of the same name for the one in the state.
async fn of_this_federation<M: Declared>(session: &Session, state: &M) -> Result<(), Diagnostics> {
    let inventory = &session.run_snapshot().await?.inventory;
    let foreign = known_object(state)
        .ok()
        .and_then(|object| check::wrong_federation(inventory, &object));
    let Some(mut finding) = foreign else {
        return Ok(());
    };
    finding.detail.push_str(
        " If that one is gone for good, take what was declared there out of the state with \
         `terraform state rm`.",
    );
    Err(of_finding(&finding).into())
}

/// The object as the federation holds it; none if it is gone or on its way out.
async fn stored(
    session: &Session,
    reference: &ObjectRef,
) -> Result<Option<Stored<Object>>, Diagnostics> {
    let found = session.federation()?.get(reference).await;
    let found = found.map_err(|error| of_error(&format!("read {reference}"), &error))?;
    Ok(found.filter(|stored| !stored.retiring))
}

/// An object that is declared already, as if this state had declared it.
async fn adopt<M: Declared>(
    cx: &Cx<Session>,
    snapshot: &Snapshot,
    id: &str,
) -> Result<M, Diagnostics> {
    let reference = imported::<M>(snapshot, id)?;
    let Some(stored) = stored(cx.client()?, &reference).await? else {
        return Err(Diagnostic::error(
            format!("Unable to import {} `{id}`", M::NOUN),
            format!("The {reference} is not declared. `hanse status` lists what is."),
        )
        .into());
    };
    remember(cx, stored.revision);
    let mut found = model::<M>(&stored.spec)?;
    found.complete(snapshot);
    Ok(found)
}

/// The object that an import id names, of this federation.
fn imported<M: Declared>(snapshot: &Snapshot, id: &str) -> Result<ObjectRef, Diagnostics> {
    let own = snapshot.inventory.name();
    M::reference_of_id(own, id).ok_or_else(|| {
        let summary = format!("Unable to import {} `{id}`", M::NOUN);
        let example = M::ID_FORM.replace("FEDERATION", own.as_str());
        Diagnostic::error(
            summary,
            format!("The id of a {} is written {example}.", M::NOUN),
        )
        .into()
    })
}

/// The name in `federation/name`.
pub(crate) fn name_within<'a>(federation: &FederationName, id: &'a str) -> Option<&'a str> {
    id.split_once('/')
        .filter(|(named, _)| *named == federation.as_str())
        .map(|(_, name)| name)
}

fn remember(cx: &Cx<Session>, revision: u64) {
    cx.set_private(REVISION, revision.to_string());
}

fn remembered(cx: &Cx<Session>) -> Result<u64, Diagnostics> {
    let text = cx
        .private(REVISION)
        .and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Diagnostic::error(
            "No revision in the state",
            "The state holds no revision of this object, so a change could overwrite somebody \
             else's. Run `terraform apply -refresh-only` first.",
        )
        .into()
    })
}

fn describe<M: Declared>(operation: Operation, model: &M) -> String {
    let verb = match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    };
    match model.reference() {
        Some(reference) => format!("{verb} {reference}"),
        None => format!("{verb} {}", M::NOUN),
    }
}
