//! The inputs that the fuzz targets start from, without the fuzzer: `scripts/fuzz` has that.
#![expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "the targets are a library elsewhere, and to panic is how one fails"
)]

#[path = "shared/replay.rs"]
mod replay;
#[path = "../fuzz/src/lib.rs"]
mod target;

use replay::replay;

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
