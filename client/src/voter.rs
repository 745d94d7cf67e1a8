//! Calls about who votes.

use hanse_core::endpoint::Endpoint;
use hanse_core::name::NodeName;

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;

impl Client {
    /// Calls a node to become a voter, which others reach at `advertise` and which listens at
    /// `listen`. Yields the federation's revision that carries the change.
    pub async fn add_voter(
        &self,
        node: &NodeName,
        advertise: &Endpoint,
        listen: &Endpoint,
        request_id: &str,
    ) -> Result<u64, ClientError> {
        let request = proto::AddVoterRequest {
            node: node.to_string(),
            advertise: advertise.to_string(),
            listen: listen.to_string(),
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.add_voter(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// Ends a node's vote; with `force` also where a DR plan can't fail over by itself without it. Yields
    /// the federation's revision that carries the change.
    pub async fn remove_voter(
        &self,
        node: &NodeName,
        force: bool,
        request_id: &str,
    ) -> Result<u64, ClientError> {
        let request = proto::RemoveVoterRequest {
            node: node.to_string(),
            request_id: request_id.to_owned(),
            force,
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.remove_voter(request).await }
            })
            .await?;
        Ok(response.revision)
    }
}
