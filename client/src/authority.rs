//! Calls about the certificate authorities.

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;

impl Client {
    /// Begins to replace the certificate authority; with `force`, while that is under way, takes the
    /// next step, whoever is not ready for it. Yields how it stands then.
    pub async fn rotate_authority(
        &self,
        force: bool,
        request_id: &str,
    ) -> Result<Vec<proto::Authority>, ClientError> {
        let request = proto::RotateAuthorityRequest {
            force,
            request_id: request_id.to_owned(),
        };
        let response = self
            .repeat(|mut api| {
                let request = request.clone();
                async move { api.rotate_authority(request).await }
            })
            .await?;
        Ok(response.authorities)
    }
}
