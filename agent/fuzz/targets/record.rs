//! libFuzzer on [`hanse_fuzz::record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hanse_fuzz::record::read(input));
