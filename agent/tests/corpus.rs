//! The inputs that the fuzz targets start from, without the fuzzer: `scripts/fuzz` has that.
#![expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "the targets are a library elsewhere, and to panic is how one fails"
)]

#[path = "../../provider/framework/tests/shared/replay.rs"]
mod replay;
#[path = "../fuzz/src/lib.rs"]
mod target;

use replay::replay;

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
