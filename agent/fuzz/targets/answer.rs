//! libFuzzer on [`hanse_fuzz::answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hanse_fuzz::answer::read(input));
