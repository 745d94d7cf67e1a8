//! The resource of any declared object: plan, create, read, update, delete, import, once for all.
//!
//! Each object's own spec revision travels in Terraform's private data and is the guard against
//! lost updates: a change that was planned against an older one is refused.

use std::marker::PhantomData;
use std::time::Duration;

use hanse_client::{ClientError, Snapshot, client};
use hanse_core::check;
use hanse_core::inventory::Stored;
use hanse_core::object::{Object, ObjectRef};
use terraform_plugin::{
    Cx, DeferReason, Diagnostic, Diagnostics, Failure, PlanAction, PlanCx, Resource, async_trait,
};

use crate::declared::{Change, Declared, Operation, known_object, model, object};
use crate::diagnostics::{of_error, of_finding};
use crate::session::Session;
use crate::unknowns::Unknowns;

/// Where the spec revision is kept in private data.
const REVISION: &str = "revision";

/// How long a create or an update waits for its effect where the `timeouts` block says nothing.
const WAIT_DEFAULT: Duration = Duration::from_secs(600);

/// How long a delete waits.
const DELETE_WAIT_DEFAULT: Duration = Duration::from_secs(300);

/// How long a read may take.
const READ_DEFAULT: Duration = Duration::from_secs(60);

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
        let snapshot = session.run_snapshot().await?;
        let federation = session.federation()?;
        let request_id = client::request_id().map_err(|error| of_error(&what, &error))?;
        let applied = federation
            .apply_with(&object, plan.secrets(), expected_revision, &request_id)
            .await;
        plan.complete(snapshot);
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => {
                let was_there = snapshot.inventory.get(&object.reference()).is_some();
                let is_lost = operation == Operation::Create && error.is_transient() && !was_there;
                return Err(match is_lost {
                    true => unheard(&what, plan, &error),
                    false => of_error(&what, &error).into(),
                });
            }
        };
        remember(cx, applied.stored.revision);
        session.planned(&object);
        let limit = cx.timeout(WAIT_DEFAULT);
        let change = Change {
            operation,
            revision: applied.revision,
            spec_revision: applied.stored.revision,
            limit,
            before: None,
        };
        let settled = plan.settle(cx, &change).await;
        if let Err(unseen) = plan.observe(cx).await {
            // The change is made: the next refresh sees what came of it.
            for Diagnostic {
                summary, detail, ..
            } in unseen
            {
                cx.warn(summary, detail);
            }
        }
        match settled {
            Ok(()) => Ok(plan),
            Err(diagnostics) => Err(Failure::partial(plan, diagnostics)),
        }
    }

    /// The object as it is now.
    async fn look(cx: &Cx<Session>, state: M) -> Result<Option<M>, Diagnostics> {
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
        let mut found = model::<M>(&stored.spec)?;
        // Another spelling of the same object is no drift.
        if known_object(&state).is_ok_and(|object| object == stored.spec) {
            let defaults = std::mem::replace(&mut found, state);
            found.fill(defaults);
        } else {
            found.keep_local(&state);
        }
        found.complete(session.run_snapshot().await?);
        found.observe(cx).await?;
        Ok(Some(found))
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
        plan.warn(cx, prior);
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
        let limit = cx.timeout(READ_DEFAULT);
        let late = |_| {
            let detail = format!("The federation did not answer within {limit:?}.");
            Diagnostic::error(format!("Unable to read the {}", M::NOUN), detail)
        };
        tokio::time::timeout(limit, Self::look(cx, state))
            .await
            .map_err(late)?
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
        let limit = cx.timeout(DELETE_WAIT_DEFAULT);
        state
            .settle(
                cx,
                &Change {
                    operation: Operation::Delete,
                    revision,
                    spec_revision: revision,
                    limit,
                    before: Some(before),
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

/// A create of which nobody said what became of it. Terraform keeps it as tainted: the next run finds
/// out whether it is there. It is never taken over from whoever else declared it meanwhile.
fn unheard<M: Declared>(what: &str, plan: M, error: &ClientError) -> Failure<M> {
    let mut diagnostics = of_error(what, error);
    let detail = format!(
        "Nobody said whether the {} was declared. It is kept as tainted: the next apply looks, and \
         declares it anew.",
        M::NOUN
    );
    diagnostics.push(Diagnostic::warning("The answer was lost", detail));
    Failure::partial(plan, diagnostics)
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
