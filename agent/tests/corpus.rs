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
fn every_answer_of_the_corpus_is_read() {
    replay("answer", target::answer::read);
}

#[test]
fn every_file_of_the_corpus_is_read() {
    replay("file", target::file::read);
}

#[test]
fn every_record_of_the_corpus_is_read() {
    replay("record", target::record::read);
}

#[test]
fn every_request_of_the_corpus_is_read() {
    replay("request", target::request::read);
}
