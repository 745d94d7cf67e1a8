//! Any bytes are a value of a type, or an error; and a value comes back as it was written.

use terraform_plugin::value::Value;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let Some((of, bytes)) = super::typed(input) else {
        return;
    };
    if let Ok((value, refinements)) = Value::from_msgpack_refined(bytes, &of) {
        let written = value
            .to_msgpack_refined(&of, &refinements)
            .expect("it was read");
        let (again, _) = Value::from_msgpack_refined(&written, &of).expect("it was written");
        assert_eq!(value, again);
    }
}
