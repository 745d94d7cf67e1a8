//! A key of an etcd, written again and again by its API of version 3.

use std::time::Duration;

use anyhow::Context as _;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::acknowledged;

/// How long one member may take.
const DEADLINE: Duration = Duration::from_millis(200);
/// Between two tries, so that a refused connection is not asked for without end.
const PAUSE: Duration = Duration::from_millis(10);

/// The fields of `etcdserverpb.PutRequest` that a write needs.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Whatever it answers: that it answers is enough.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

pub(crate) async fn write(endpoints: &[String]) -> anyhow::Result<()> {
    let mut members = Vec::new();
    for endpoint in endpoints {
        let endpoint = Endpoint::try_from(format!("http://{endpoint}"))?;
        members.push(endpoint.connect_timeout(DEADLINE).connect_lazy());
    }
    anyhow::ensure!(!members.is_empty(), "no member is named");
    let mut member = 0;
    for number in 0_u64.. {
        while !put(members[member].clone(), number).await? {
            member = (member + 1) % members.len();
            tokio::time::sleep(PAUSE).await;
        }
        acknowledged();
    }
    Ok(())
}

/// Whether the member acknowledged it.
async fn put(member: Channel, number: u64) -> anyhow::Result<bool> {
    let request = PutRequest {
        key: b"number".to_vec(),
        value: number.to_string().into_bytes(),
    };
    let asked = async {
        let mut grpc = tonic::client::Grpc::new(member);
        grpc.ready().await.ok()?;
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<PutRequest, PutResponse>::default();
        let answer = grpc.unary(tonic::Request::new(request), path, codec).await;
        answer.ok()
    };
    let answered = tokio::time::timeout(DEADLINE, asked).await;
    Ok(answered
        .context("late")
        .is_ok_and(|answer| answer.is_some()))
}
