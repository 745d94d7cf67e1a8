//! The other end: questions of other voters, answered if they are voters.

use std::sync::Arc;

use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_proto::raft::v1 as proto;
use hanse_proto::raft::v1::consensus_server::Consensus;
use tonic::{Request, Response, Status, Streaming};

use crate::server::Voter;
use crate::server::authorize::Call;

/// The longest question: a snapshot of the largest state.
const QUESTION_LENGTH_MAX: usize = 128 << 20;

/// Answers other voters.
pub struct Service(pub Arc<Voter>);

#[tonic::async_trait]
impl Consensus for Service {
    async fn ask(
        &self,
        request: Request<proto::Question>,
    ) -> Result<Response<proto::Answer>, Status> {
        self.0.admit(&request, Call::Consensus).await?;
        let content = self.0.replica.answer(&request.into_inner().content).await;
        Ok(Response::new(proto::Answer { content }))
    }

    async fn ask_at_length(
        &self,
        request: Request<Streaming<proto::Question>>,
    ) -> Result<Response<proto::Answer>, Status> {
        self.0.admit(&request, Call::Consensus).await?;
        let mut pieces = request.into_inner();
        let mut question = Vec::new();
        while let Some(piece) = pieces.message().await? {
            if question.len() + piece.content.len() > QUESTION_LENGTH_MAX {
                return Err(Status::out_of_range("the question is too long"));
            }
            question.extend_from_slice(&piece.content);
        }
        let content = self.0.replica.answer(&question).await;
        Ok(Response::new(proto::Answer { content }))
    }

    async fn time(
        &self,
        request: Request<proto::TimeRequest>,
    ) -> Result<Response<proto::TimeResponse>, Status> {
        self.0.admit(&request, Call::Consensus).await?;
        let unix_ms = self.0.clock.own_ms();
        Ok(Response::new(proto::TimeResponse {
            unix_ms,
            feature_level: FeatureLevel::SUPPORTED.number().into(),
            program: PROGRAM_VERSION.to_owned(),
        }))
    }
}
