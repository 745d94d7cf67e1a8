//! libFuzzer on [`terraform_plugin_fuzz::stored_state`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| terraform_plugin_fuzz::stored_state::read(input));
