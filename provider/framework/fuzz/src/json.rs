//! Any JSON is a value of a type, or an error; and a value comes back as it was written.

use terraform_plugin::value::{UnknownAttributes, Value};

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let Some((of, bytes)) = super::typed(input) else {
        return;
    };
    let _ = Value::from_json(bytes, &of, UnknownAttributes::Ignore);
    if let Ok(value) = Value::from_json(bytes, &of, UnknownAttributes::Refuse) {
        let written = value.to_json(&of).expect("it was read");
        let again = Value::from_json(&written, &of, UnknownAttributes::Refuse);
        assert_eq!(again.as_ref(), Ok(&value));
        let msgpack = value.to_msgpack(&of).expect("it was read");
        assert_eq!(Value::from_msgpack(&msgpack, &of), Ok(value));
    }
}
