//! Answers to calls about kinds of things that a provider made with this framework can't have
//! yet. Terraform doesn't make them, since no schema names such a thing; whoever does gets a
//! sentence and never a hang.

use tonic::Response;

use super::answer::Failed;
use crate::{Diagnostic, Diagnostics};

pub(super) fn diagnostics(what: &str) -> Diagnostics {
    let detail = format!("This provider has no {what}.");
    Diagnostic::error("Not supported by this provider", detail).into()
}

pub(super) fn answer<R: Failed>(what: &str) -> Response<R> {
    Response::new(R::failed(diagnostics(what)))
}
