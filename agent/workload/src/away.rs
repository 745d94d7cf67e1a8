//! Work on files, which would hold up everything else.

use crate::trouble::Trouble;

/// Does what takes long on a thread of its own.
pub(crate) async fn away<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble(format!("work on files was ended: {error}"))),
    }
}
