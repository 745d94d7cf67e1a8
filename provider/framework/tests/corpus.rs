//! The inputs that the fuzz targets start from, without the fuzzer: `scripts/fuzz` has that.
#![expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "the targets are a library elsewhere, and to panic is how one fails"
)]

#[path = "../fuzz/src/lib.rs"]
mod target;

use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;

/// Reads all inputs of a target; a panic names the input.
fn replay(name: &str, read: impl Fn(&[u8]) + RefUnwindSafe) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let inputs: Vec<_> = fs::read_dir(&corpus)
        .expect("the corpus is part of the checkout")
        .map(|entry| entry.expect("a folder is listed").path())
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    for input in inputs {
        let bytes = fs::read(&input).expect("an input is a file");
        assert!(
            catch_unwind(|| read(&bytes)).is_ok(),
            "{} fails",
            input.display()
        );
    }
}

#[test]
fn every_configuration_of_the_corpus_is_read() {
    replay("configuration", target::configuration::read);
}

#[test]
fn every_json_of_the_corpus_is_read() {
    replay("json", target::json::read);
}

#[test]
fn every_msgpack_of_the_corpus_is_read() {
    replay("msgpack", target::msgpack::read);
}

#[test]
fn every_refinement_of_the_corpus_is_read() {
    replay("refinement", target::refinement::read);
}

#[test]
fn every_stored_state_of_the_corpus_is_read() {
    replay("stored_state", target::stored_state::read);
}

#[test]
fn every_types_of_the_corpus_is_read() {
    replay("types", target::types::read);
}
