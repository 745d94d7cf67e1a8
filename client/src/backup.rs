//! The federation's state as a signed file.

use crate::client::{Client, failure};
use crate::error::ClientError;
use crate::proto;

impl Client {
    /// The whole file, if it has no more than that many bytes. Whether it is whole and as it was
    /// signed is for the caller to see.
    pub async fn backup(&self, length_max: u64) -> Result<Vec<u8>, ClientError> {
        let opened =
            self.repeat(|mut api| async move { api.backup(proto::BackupRequest {}).await });
        let mut chunks = opened.await?;
        let mut file = Vec::new();
        while let Some(chunk) = chunks.message().await.map_err(|status| failure(&status))? {
            file.extend(chunk.content);
            if file.len() as u64 > length_max {
                let reason = format!("the backup has more than {length_max} bytes");
                return Err(ClientError::Malformed { reason });
            }
        }
        Ok(file)
    }
}
