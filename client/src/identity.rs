//! Calls about who counts no more: nodes and users that are revoked, removed, or leave.

use hanse_core::name::NodeName;

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;

impl Client {
    /// Ends whatever a node may do, at once; its name stays taken. Yields the federation's revision
    /// that carries the change.
    pub async fn revoke_node(&self, node: &NodeName, request_id: &str) -> Result<u64, ClientError> {
        let request = proto::RevokeNodeRequest {
            node: node.to_string(),
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.revoke_node(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// Forgets a node that is gone; with `force` also one that still reports.
    pub async fn remove_node(
        &self,
        node: &NodeName,
        force: bool,
        request_id: &str,
    ) -> Result<u64, ClientError> {
        let request = proto::RemoveNodeRequest {
            node: node.to_string(),
            force,
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.remove_node(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// Says goodbye for the calling node, whose certificate is worth nothing from then on.
    pub async fn leave(&self, request_id: &str) -> Result<u64, ClientError> {
        let request = proto::LeaveRequest {
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.leave(request).await }
            })
            .await?;
        Ok(response.revision)
    }

    /// Ends every certificate of a user that was issued up to now.
    pub async fn revoke_user(&self, name: &NodeName, request_id: &str) -> Result<u64, ClientError> {
        let request = proto::RevokeUserRequest {
            name: name.to_string(),
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.revoke_user(request).await }
            })
            .await?;
        Ok(response.revision)
    }
}
