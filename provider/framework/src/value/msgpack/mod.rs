//! The msgpack codec, driven by type. Terraform sends and wants this form.
//!
//! It never trusts a length, and never fails for what is only unknown: an extension that it doesn't
//! know is an unknown value.

mod decode;
mod encode;
mod refinement;
mod token;

pub(super) use decode::decode;
pub(super) use encode::encode;

#[cfg(test)]
mod tests {
    use super::encode;
    use super::token::NIL;
    use crate::Path;
    use crate::value::{Refinement, Refinements, Type, Value, ValueError};

    fn decode(bytes: &[u8], of: &Type) -> Result<Value, ValueError> {
        super::decode(bytes, of).map(|(value, _)| value)
    }

    #[test]
    fn any_extension_is_unknown() {
        for bytes in [
            &[0xd4, 0, 0][..],
            &[0xc7, 0, 12][..],
            &[0xc7, 3, 12, 0x81, 1, 0xc2][..],
            &[0xd8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        ] {
            assert_eq!(decode(bytes, &Type::String), Ok(Value::Unknown));
        }
    }

    #[test]
    fn what_is_known_of_an_unknown_value_passes_through_wherever_it_is() {
        let of = Type::object([
            ("names", Type::list(Type::String)),
            ("open", Type::Dynamic),
            ("ports", Type::set(Type::Number)),
        ]);
        let prefixed = Refinement::not_null().starting_with("host-");
        let value = Value::object([
            ("names", Value::List(vec!["a".into(), Value::Unknown])),
            (
                "open",
                Value::Dynamic(Type::Number, Box::new(Value::Unknown)),
            ),
            ("ports", Value::Unknown),
        ]);
        let mut refinements = Refinements::default();
        refinements.insert(Path::root("names").index(1), prefixed);
        refinements.insert(Path::root("open"), Refinement::default().at_least(1));
        refinements.insert(Path::root("ports"), Refinement::default().with_at_least(2));
        let bytes = encode(&value, &of, &refinements).unwrap();
        assert_eq!(super::decode(&bytes, &of), Ok((value, refinements)));
    }

    #[test]
    fn a_promise_about_what_is_known_is_left_out() {
        let mut refinements = Refinements::default();
        refinements.insert(Path::empty(), Refinement::not_null());
        let bytes = encode(&"a".into(), &Type::String, &refinements);
        assert_eq!(bytes, Ok(vec![0xa1, b'a']));
    }

    #[test]
    fn numbers_arrive_in_every_form() {
        let cases: [(&[u8], &str); 6] = [
            (&[0x07], "7"),
            (&[0xff], "-1"),
            (
                &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "18446744073709551615",
            ),
            (&[0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0], "0.5"),
            (&[0xa3, b'0', b'.', b'1'], "0.1"),
            (b"\xb69007199254740993.00001", "9007199254740993.00001"),
        ];
        for (bytes, text) in cases {
            let value = decode(bytes, &Type::Number).unwrap();
            assert_eq!(value, Value::Number(text.parse().unwrap()));
        }
    }

    #[test]
    fn counts_that_lie_are_refused_before_anything_is_allocated() {
        let of = Type::list(Type::String);
        assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff], &of).is_err());
        assert!(decode(&[0xdb, 0xff, 0xff, 0xff, 0xff], &Type::String).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            bytes.extend([0x92, 0xc4, 9]);
            bytes.extend(br#""dynamic""#);
        }
        bytes.push(NIL);
        let error = decode(&bytes, &Type::Dynamic).unwrap_err();
        assert!(error.to_string().contains("deeper"), "{error}");
    }

    #[test]
    fn an_error_names_the_place() {
        let of = Type::object([("a", Type::list(Type::Bool))]);
        let error = decode(&[0x81, 0xa1, b'a', 0x92, 0xc2, 0x01], &of).unwrap_err();
        assert_eq!(error.to_string(), "expected bool, found a number at a.1");
    }
}
