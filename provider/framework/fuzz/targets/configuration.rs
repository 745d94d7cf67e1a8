//! libFuzzer on [`terraform_plugin_fuzz::configuration`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| terraform_plugin_fuzz::configuration::read(input));
