//! libFuzzer on [`hanse_fuzz::request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hanse_fuzz::request::read(input));
