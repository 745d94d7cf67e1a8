//! Whatever is said of an unknown value, it stays one, or is an error; and what is said comes back.

use terraform_plugin::value::{Type, Value};

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let Ok(length) = u16::try_from(input.len()) else {
        return;
    };
    let mut bytes = vec![0xc8];
    bytes.extend(length.to_be_bytes());
    bytes.push(12);
    bytes.extend(input);
    for of in [
        Type::String,
        Type::Number,
        Type::Bool,
        Type::list(Type::Number),
        Type::Dynamic,
    ] {
        let Ok((value, refinements)) = Value::from_msgpack_refined(&bytes, &of) else {
            continue;
        };
        assert!(value.is_unknown() || value.is_null());
        let written = value
            .to_msgpack_refined(&of, &refinements)
            .expect("it was read");
        let (again, read) = Value::from_msgpack_refined(&written, &of).expect("it was written");
        assert_eq!(again, value);
        // A long prefix is written shorter, and only that.
        if written.len() < 256 {
            assert_eq!(read, refinements);
        }
    }
}
