//! The calls about state stores. A state holds secrets: nothing of it is ever logged.

use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::state_chunks::{Assembly, agree, chunks};
use super::{Server, decode, settle};
use crate::context::Call;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Diagnostic, Diagnostics, Provider};

/// A write as it begins: its first message, which names the state, and the others.
pub(super) struct StateWrite {
    pub(super) first: Option<wire::write_state_bytes::RequestChunk>,
    pub(super) others: Streaming<wire::write_state_bytes::RequestChunk>,
}

impl<P: Provider> Server<P> {
    pub(super) async fn validate_state_store(
        &self,
        request: wire::validate_state_store::Request,
        call: Call,
    ) -> Result<wire::validate_state_store::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let config = decode(request.config, &state_store.known().of)?;
        let cx = self.cx(call, Private::default());
        let mut diagnostics = state_store.validate(&cx, config).await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_state_store::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn configure_state_store(
        &self,
        request: wire::configure_state_store::Request,
        call: Call,
    ) -> Result<wire::configure_state_store::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let config = decode(request.config, &state_store.known().of)?;
        let chunk_bytes = agree(request.capabilities.unwrap_or_default().chunk_size);
        let cx = self.cx(call, Private::default());
        let result = state_store.configure(&cx, config, chunk_bytes).await;
        let ((), outcome) = settle(&cx, result)?;
        let chunk_size = i64::try_from(chunk_bytes).unwrap_or(i64::MAX);
        Ok(wire::configure_state_store::Response {
            diagnostics: outcome.diagnostics.into_wire(),
            capabilities: Some(wire::StateStoreServerCapabilities { chunk_size }),
        })
    }

    pub(super) async fn read_state(
        &self,
        request: wire::read_state_bytes::Request,
        call: Call,
        answers: mpsc::Sender<wire::read_state_bytes::Response>,
    ) -> Result<(), Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let chunk_bytes = state_store.chunk_bytes()?;
        let id = state_id(&request.state_id)?;
        let cx = self.cx(call, Private::default());
        let (state, outcome) = settle(&cx, state_store.read(&cx, id).await)?;
        let mut warnings = outcome.diagnostics.into_wire();
        let state = state.unwrap_or_default();
        if state.is_empty() && !warnings.is_empty() {
            // Terraform reads a range in every answer without an error, even in one without bytes.
            let answer = wire::read_state_bytes::Response {
                range: Some(wire::StateRange::default()),
                diagnostics: warnings,
                ..wire::read_state_bytes::Response::default()
            };
            let _ = answers.send(answer).await;
            return Ok(());
        }
        for mut chunk in chunks(&state, chunk_bytes) {
            chunk.diagnostics = std::mem::take(&mut warnings);
            if answers.send(chunk).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The bytes are taken in whether or not Terraform asked to stop meanwhile: what is written
    /// then is the record of what was done.
    pub(super) async fn write_state(
        &self,
        request: StateWrite,
        call: Call,
    ) -> Result<wire::write_state_bytes::Response, Diagnostics> {
        let StateWrite { first, mut others } = request;
        let meta = first.as_ref().and_then(|chunk| chunk.meta.clone());
        let Some(meta) = meta else {
            return Err(broken_write("The first chunk doesn't name the state"));
        };
        let state_store = self.state_store(&meta.type_name)?;
        let id = state_id(&meta.state_id)?;
        let mut assembly = Assembly::new(state_store.chunk_bytes()?, state_store.state_bytes_max());
        let mut next = first;
        while let Some(chunk) = next {
            if chunk.meta.as_ref().is_some_and(|other| *other != meta) {
                return Err(broken_write("The chunks name different states"));
            }
            assembly.push(&chunk).map_err(|why| broken_write(&why))?;
            next = others.message().await.map_err(cut_short)?;
        }
        let state = assembly.finish().map_err(|why| broken_write(&why))?;
        let cx = self.cx(call, Private::default());
        let ((), outcome) = settle(&cx, state_store.write(&cx, id, state).await)?;
        Ok(wire::write_state_bytes::Response {
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }

    pub(super) async fn lock_state(
        &self,
        request: wire::lock_state::Request,
        call: Call,
    ) -> Result<wire::lock_state::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let id = state_id(&request.state_id)?;
        let cx = self.cx(call, Private::default());
        let result = state_store.lock(&cx, id, &request.operation).await;
        let (lock_id, outcome) = settle(&cx, result)?;
        if lock_id.is_empty() {
            let detail = "The lock has no id. This is a mistake in the provider; please report it.";
            return Err(Diagnostic::error("Unable to lock the state", detail).into());
        }
        Ok(wire::lock_state::Response {
            lock_id,
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }

    pub(super) async fn unlock_state(
        &self,
        request: wire::unlock_state::Request,
        call: Call,
    ) -> Result<wire::unlock_state::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let id = state_id(&request.state_id)?;
        let cx = self.cx(call, Private::default());
        let result = state_store.unlock(&cx, id, &request.lock_id).await;
        let ((), outcome) = settle(&cx, result)?;
        Ok(wire::unlock_state::Response {
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }

    pub(super) async fn states(
        &self,
        request: wire::get_states::Request,
        call: Call,
    ) -> Result<wire::get_states::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let cx = self.cx(call, Private::default());
        let (state_id, outcome) = settle(&cx, state_store.states(&cx).await)?;
        Ok(wire::get_states::Response {
            state_id,
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }

    pub(super) async fn delete_state(
        &self,
        request: wire::delete_state::Request,
        call: Call,
    ) -> Result<wire::delete_state::Response, Diagnostics> {
        let state_store = self.state_store(&request.type_name)?;
        let id = state_id(&request.state_id)?;
        let cx = self.cx(call, Private::default());
        let ((), outcome) = settle(&cx, state_store.delete(&cx, id).await)?;
        Ok(wire::delete_state::Response {
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }
}

pub(super) fn cut_short(status: Status) -> Diagnostics {
    broken_write(&format!("The stream ended early: {}", status.message()))
}

fn state_id(id: &str) -> Result<&str, Diagnostics> {
    if id.is_empty() {
        let detail = "Terraform named no state. This is a mistake in Terraform.";
        return Err(Diagnostic::error("No state named", detail).into());
    }
    Ok(id)
}

fn broken_write(why: &str) -> Diagnostics {
    let detail = format!("{why}. Nothing was written; what was stored before is still there.");
    Diagnostic::error("Unable to receive the state", detail).into()
}
