//! Reading the audit log of the voter that is called.

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;

impl Client {
    /// One page of the audit log.
    pub async fn audit(
        &self,
        request: proto::AuditRequest,
    ) -> Result<proto::AuditResponse, ClientError> {
        self.repeat(|mut api| {
            let request = request.clone();
            async move { api.audit(request).await }
        })
        .await
    }
}
