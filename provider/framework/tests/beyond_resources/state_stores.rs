use std::iter;

use terraform_plugin::proto::tfplugin6 as wire;
use tokio_stream::wrappers::ReceiverStream;
use wire::write_state_bytes::RequestChunk;

use crate::bench::{Bench, assert_no_errors, config, errors};
use crate::kit::ShelfModel;

const SHELF: &str = "kit_shelf";

/// A bench whose shelf is configured for chunks of 4 bytes.
async fn shelf() -> Bench {
    let bench = Bench::configured().await;
    let answer = configure(&bench, 4).await;
    assert_eq!(answer.capabilities.unwrap().chunk_size, 4);
    bench
}

async fn configure(bench: &Bench, chunk_size: i64) -> wire::configure_state_store::Response {
    let request = wire::configure_state_store::Request {
        type_name: SHELF.to_owned(),
        config: config::<ShelfModel>(&[("name", "a".into())]),
        capabilities: Some(wire::StateStoreClientCapabilities { chunk_size }),
    };
    let answer = bench.client.clone().configure_state_store(request).await;
    let answer = answer.unwrap().into_inner();
    assert_no_errors(&answer.diagnostics);
    answer
}

/// As Terraform cuts it, with what names it on the first chunk.
fn chunks(id: &str, state: &[u8]) -> Vec<RequestChunk> {
    let meta = wire::RequestChunkMeta {
        type_name: SHELF.to_owned(),
        state_id: id.to_owned(),
    };
    let metas = iter::once(Some(meta)).chain(iter::repeat(None));
    let pieces = state.chunks(4).enumerate().zip(metas);
    let chunk = |((index, bytes), meta): ((usize, &[u8]), _)| {
        let start = 4 * index as i64;
        RequestChunk {
            meta,
            bytes: bytes.to_vec(),
            total_length: state.len() as i64,
            range: Some(wire::StateRange {
                start,
                end: start + bytes.len() as i64 - 1,
            }),
        }
    };
    pieces.map(chunk).collect()
}

async fn send(bench: &Bench, chunks: Vec<RequestChunk>) -> Vec<wire::Diagnostic> {
    let answer = bench
        .client
        .clone()
        .write_state_bytes(tokio_stream::iter(chunks))
        .await;
    answer.unwrap().into_inner().diagnostics
}

async fn read(bench: &Bench, id: &str) -> Vec<wire::read_state_bytes::Response> {
    let request = wire::read_state_bytes::Request {
        type_name: SHELF.to_owned(),
        state_id: id.to_owned(),
    };
    let answer = bench.client.clone().read_state_bytes(request).await;
    let mut stream = answer.unwrap().into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        answers.push(answer);
    }
    answers
}

async fn lock(bench: &Bench, operation: &str) -> wire::lock_state::Response {
    let request = wire::lock_state::Request {
        type_name: SHELF.to_owned(),
        state_id: "default".to_owned(),
        operation: operation.to_owned(),
    };
    bench
        .client
        .clone()
        .lock_state(request)
        .await
        .unwrap()
        .into_inner()
}

async fn unlock(bench: &Bench, lock_id: &str) -> Vec<wire::Diagnostic> {
    let request = wire::unlock_state::Request {
        type_name: SHELF.to_owned(),
        state_id: "default".to_owned(),
        lock_id: lock_id.to_owned(),
    };
    let answer = bench.client.clone().unlock_state(request).await;
    answer.unwrap().into_inner().diagnostics
}

#[tokio::test]
async fn a_state_is_written_and_read_in_chunks_of_the_agreed_size() {
    let bench = shelf().await;
    assert_no_errors(&send(&bench, chunks("default", b"0123456789")).await);
    let answers = read(&bench, "default").await;
    let sizes: Vec<usize> = answers.iter().map(|chunk| chunk.bytes.len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
    let ends: Vec<i64> = answers
        .iter()
        .map(|chunk| chunk.range.unwrap().end)
        .collect();
    assert_eq!(ends, [3, 7, 9]);
    assert!(answers.iter().all(|chunk| chunk.total_length == 10));
    let state: Vec<u8> = answers.into_iter().flat_map(|chunk| chunk.bytes).collect();
    assert_eq!(state, b"0123456789");
}

#[tokio::test]
async fn a_state_that_is_not_there_reads_as_no_bytes() {
    let bench = shelf().await;
    assert_eq!(read(&bench, "default").await, []);
    // An answer without an error has a range, even where it has no bytes.
    let [answer] = &read(&bench, "dusty").await[..] else {
        panic!("one warning")
    };
    assert_eq!(answer.diagnostics[0].summary, "Dusty");
    assert_eq!((answer.total_length, answer.range.is_some()), (0, true));
}

#[tokio::test]
async fn a_broken_write_is_refused_and_what_was_there_stays() {
    let bench = shelf().await;
    assert_no_errors(&send(&bench, chunks("default", b"before")).await);
    let broken = |change: fn(&mut Vec<RequestChunk>)| {
        let mut chunks = chunks("default", b"0123456789");
        change(&mut chunks);
        chunks
    };
    for (chunks, why) in [
        (broken(|chunks| chunks.clear()), "doesn't name the state"),
        (
            broken(|chunks| chunks[0].meta = None),
            "doesn't name the state",
        ),
        (broken(|chunks| chunks.swap(1, 2)), "4 to 5 come next"),
        (
            broken(|chunks| {
                chunks[1] = RequestChunk {
                    meta: None,
                    ..chunks[0].clone()
                }
            }),
            "4 to 7 come next",
        ),
        (broken(|chunks| drop(chunks.remove(1))), "4 to 5 come next"),
        (
            broken(|chunks| drop(chunks.pop())),
            "Only 8 of the announced 10",
        ),
        (broken(|chunks| chunks[0].range = None), "which bytes"),
        (
            broken(|chunks| chunks[0].range.as_mut().unwrap().start = -1),
            "bytes -1 to 3",
        ),
        (
            broken(|chunks| chunks[1].range.as_mut().unwrap().end = i64::MAX),
            "4 to 7 come next",
        ),
        (broken(|chunks| chunks[0].bytes.push(b'!')), "4 were agreed"),
        (
            broken(|chunks| chunks[0].total_length = i64::MAX),
            "takes up to 100",
        ),
        (
            broken(|chunks| chunks[0].total_length = i64::MIN),
            "length of -9223372036854775808",
        ),
        (broken(|chunks| chunks[1].total_length = 11), "then 11"),
        (
            broken(|chunks| {
                let mut meta = chunks[0].meta.clone().unwrap();
                meta.state_id.push('2');
                chunks[1].meta = Some(meta);
            }),
            "different states",
        ),
    ] {
        let found = send(&bench, chunks.clone()).await;
        assert_eq!(
            errors(&found),
            ["Unable to receive the state"],
            "{chunks:?}"
        );
        assert!(found[0].detail.contains(why), "{why}: {}", found[0].detail);
    }
    let state: Vec<u8> = read(&bench, "default")
        .await
        .into_iter()
        .flat_map(|of| of.bytes)
        .collect();
    assert_eq!(state, b"before");
}

#[tokio::test]
async fn a_write_goes_on_when_terraform_asks_to_stop() {
    let bench = shelf().await;
    let (chunk, waiting) = tokio::sync::mpsc::channel(1);
    let mut client = bench.client.clone();
    let write = tokio::spawn(async move {
        let answer = client.write_state_bytes(ReceiverStream::new(waiting)).await;
        answer.unwrap().into_inner().diagnostics
    });
    let mut chunks = chunks("default", b"01234567").into_iter();
    chunk.send(chunks.next().unwrap()).await.unwrap();
    bench.stop().await;
    chunk.send(chunks.next().unwrap()).await.unwrap();
    drop(chunk);
    assert_no_errors(&write.await.unwrap());
    assert_eq!(read(&bench, "default").await.len(), 2);
}

#[tokio::test]
async fn a_lock_is_held_once_and_given_back_by_who_holds_it() {
    let bench = shelf().await;
    let held = lock(&bench, "apply").await;
    assert_no_errors(&held.diagnostics);
    let refused = lock(&bench, "plan").await;
    assert_eq!(errors(&refused.diagnostics), ["The state is locked"]);
    assert_eq!(
        errors(&unlock(&bench, "another").await),
        ["Another lock is held"]
    );
    assert_no_errors(&unlock(&bench, &held.lock_id).await);
    assert_no_errors(&lock(&bench, "plan").await.diagnostics);
}

#[tokio::test]
async fn a_lock_without_an_id_is_an_error() {
    let bench = shelf().await;
    let answer = lock(&bench, "nameless").await;
    assert_eq!(errors(&answer.diagnostics), ["Unable to lock the state"]);
}

#[tokio::test]
async fn states_are_listed_and_deleted() {
    let bench = shelf().await;
    assert_no_errors(&send(&bench, chunks("default", b"a")).await);
    assert_no_errors(&send(&bench, chunks("staging", b"b")).await);
    let list = async || {
        let type_name = SHELF.to_owned();
        let request = wire::get_states::Request { type_name };
        bench
            .client
            .clone()
            .get_states(request)
            .await
            .unwrap()
            .into_inner()
            .state_id
    };
    assert_eq!(list().await, ["default", "staging"]);
    let request = wire::delete_state::Request {
        type_name: SHELF.to_owned(),
        state_id: "staging".to_owned(),
    };
    let answer = bench.client.clone().delete_state(request).await.unwrap();
    assert_no_errors(&answer.into_inner().diagnostics);
    assert_eq!(list().await, ["default"]);
}

#[tokio::test]
async fn before_it_is_configured_a_store_has_nothing_to_give() {
    let bench = Bench::configured().await;
    let unconfigured = ["State store not configured"];
    assert_eq!(
        errors(&read(&bench, "default").await[0].diagnostics),
        unconfigured
    );
    assert_eq!(
        errors(&send(&bench, chunks("default", b"a")).await),
        unconfigured
    );
    assert_eq!(
        errors(&lock(&bench, "plan").await.diagnostics),
        unconfigured
    );
}

#[tokio::test]
async fn a_chunk_size_is_agreed_within_bounds() {
    let bench = Bench::configured().await;
    for (proposed, agreed) in [(0, 8 << 20), (-1, 8 << 20), (i64::MAX, 128 << 20), (1, 1)] {
        let answer = configure(&bench, proposed).await;
        assert_eq!(answer.capabilities.unwrap().chunk_size, agreed);
        assert_eq!(answer.diagnostics[0].summary, "A shelf");
    }
}

#[tokio::test]
async fn panics_and_unknown_names_are_findings_in_streams_too() {
    let bench = shelf().await;
    let failed = ["The provider failed in kit_shelf"];
    assert_eq!(errors(&read(&bench, "panic").await[0].diagnostics), failed);
    assert_eq!(errors(&send(&bench, chunks("panic", b"a")).await), failed);
    assert_eq!(
        errors(&read(&bench, "").await[0].diagnostics),
        ["No state named"]
    );
    let mut chunks = chunks("default", b"a");
    chunks[0].meta.as_mut().unwrap().type_name = "kit_nothing".to_owned();
    assert_eq!(errors(&send(&bench, chunks).await), ["No such state store"]);
}

#[tokio::test]
async fn a_configuration_is_checked() {
    let bench = Bench::configured().await;
    let request = wire::validate_state_store::Request {
        type_name: SHELF.to_owned(),
        config: config::<ShelfModel>(&[("name", "a b".into())]),
    };
    let answer = bench
        .client
        .clone()
        .validate_state_store_config(request)
        .await
        .unwrap();
    assert_eq!(
        errors(&answer.into_inner().diagnostics),
        ["Invalid value of name"]
    );
}
