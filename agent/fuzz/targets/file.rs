//! libFuzzer on [`hanse_fuzz::file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hanse_fuzz::file::read(input));
