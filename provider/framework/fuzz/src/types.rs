//! Any bytes are a type, or an error; and a type comes back as it was written.

use terraform_plugin::value::Type;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    if let Ok(of) = Type::from_json_bytes(input) {
        assert_eq!(Type::from_json_bytes(&of.to_json_bytes()), Ok(of));
    }
}
