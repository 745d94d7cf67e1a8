//! How a call is made: on the way that there is now, on another one after a failure, and for as
//! long as the caller has patience.

use std::time::Duration;

use tonic::Status;

use crate::client::{Client, failure};
use crate::clock::Timed;
use crate::error::ClientError;
use crate::proto::api_client::ApiClient;
use crate::ways::Way;

impl Client {
    /// Makes a call, again and again while its failure may pass and patience lasts.
    pub(crate) async fn repeat<T, F>(
        &self,
        call: impl Fn(ApiClient<Timed>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.repeat_long(Duration::ZERO, call).await
    }

    /// The same for a call that by itself may take so long.
    pub(crate) async fn repeat_long<T, F>(
        &self,
        expected: Duration,
        call: impl Fn(ApiClient<Timed>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut waiting = self.patience.begin(expected);
        loop {
            let way = self.ways.current();
            let before = self.ways.endpoint();
            let answered = waiting.during(&before, call(way.api.clone()));
            let error = match answered.await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => failure(&status),
            };
            let endpoint = self.ways.endpoint();
            self.leave_after(&way, &error);
            waiting.miss(self.ways.missed());
            waiting.after(&endpoint, error).await?;
        }
    }

    /// Makes a call once.
    pub(crate) async fn once<T, F>(
        &self,
        call: impl FnOnce(ApiClient<Timed>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        // Whoever calls once stays: a follower's reports go where its stream is.
        call(self.ways.current().api.clone())
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| failure(&status))
    }

    /// Makes a call once; the next one goes to another voter if this one can't answer.
    pub(crate) async fn once_elsewhere<T, F>(
        &self,
        call: impl FnOnce(ApiClient<Timed>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let way = self.ways.current();
        match call(way.api.clone()).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => {
                let error = failure(&status);
                self.leave_after(&way, &error);
                Err(error)
            }
        }
    }

    /// A voter that can't answer is left for another.
    fn leave_after(&self, way: &Way, error: &ClientError) {
        if error.is_transient() {
            self.ways.leave(way);
        }
    }
}
