//! Any bytes are a type, or an error; and a type comes back as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use terraform_plugin::value::Type;

fuzz_target!(|input: &[u8]| {
    if let Ok(of) = Type::from_json_bytes(input) {
        assert_eq!(Type::from_json_bytes(&of.to_json_bytes()), Ok(of));
    }
});
