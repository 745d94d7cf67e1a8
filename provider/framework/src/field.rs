//! Between dynamic values and the Rust types of an author's model.

use std::collections::BTreeMap;

use crate::function::Allows;
use crate::path::Step;
use crate::schema::{Attribute, Nesting, Shape};
use crate::value::{Number, Type, Value};
use crate::{Attr, Diagnostic, Set};

/// Why a value can't be had as a Rust type.
#[derive(Debug, Clone, PartialEq)]
pub enum Undecodable {
    /// Something in it isn't known yet, and the Rust type has no place for that. The nearest
    /// [`Attr`] around it reads as unknown.
    Unknown,
    /// It is null, out of range or of another kind.
    Invalid(Box<Diagnostic>),
}

/// A Rust type that a known value can have.
///
/// `String`, `bool`, integers, `f32`, `f64`, [`Number`], [`Value`] (any type), `Vec` (list), [`Set`],
/// `BTreeMap<String, _>` and every derived [`Model`](crate::Model) without blocks have it.
/// Elements are bare or wrapped in [`Attr`]: bare elements can be neither null nor unknown, and
/// as long as one is unknown the whole attribute reads as [`Attr::Unknown`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the value of an attribute",
    note = "use String, bool, an integer, f32, f64, Number, Value, Vec<_>, Set<_>, BTreeMap<String, _> or a type that derives Model and has no #[block]"
)]
pub trait Field: Sized + Send + Sync + 'static {
    /// What the schema says of it.
    fn shape() -> Shape;

    /// Reads a value.
    fn decode(value: Value) -> Result<Self, Undecodable>;

    /// Writes the value.
    fn encode(self) -> Value;

    /// What an argument of this type may be beside known.
    #[doc(hidden)]
    const ALLOWS: Allows = Allows {
        null: false,
        unknown: false,
    };
}

/// What a field of a model has to be: an [`Attr`].
#[diagnostic::on_unimplemented(
    message = "an attribute has to be an `Attr<_>`, so that it can be null or unknown",
    label = "write `Attr<{Self}>`"
)]
pub trait AttributeField: Field {
    /// The type of the value when it is known.
    type Inner: Field;
}

/// A type with elements that can be counted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no elements to count",
    label = "not a list, a set or a map",
    note = "min and max count the elements of Vec<_>, Set<_> and BTreeMap<String, _>; check other values with validate = function"
)]
pub trait CollectionField: Field {}

impl<T: Field> CollectionField for Vec<T> {}
impl<T: Field> CollectionField for Set<T> {}
impl<T: Field> CollectionField for BTreeMap<String, T> {}

impl Undecodable {
    /// A value of another kind than the schema says.
    pub fn mismatch(expected: &str, found: &Value) -> Self {
        Self::invalid(format!("Expected {expected}, found {}.", found.kind()))
    }

    /// A value that the type can't hold, and why.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Diagnostic::error("Invalid value", detail)))
    }

    /// The same, seen from one level further out.
    #[must_use]
    pub fn inside(self, step: Step) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Invalid(diagnostic) => Self::Invalid(Box::new(diagnostic.inside(step))),
        }
    }

    /// As a finding for the person who runs Terraform.
    pub fn into_diagnostic(self) -> Diagnostic {
        match self {
            Self::Unknown => {
                Diagnostic::error("Value not known yet", "Every value has to be known here.")
            }
            Self::Invalid(diagnostic) => *diagnostic,
        }
    }
}

impl<T: Field> AttributeField for Attr<T> {
    type Inner = T;
}

impl<T: Field> Field for Attr<T> {
    const ALLOWS: Allows = Allows {
        null: true,
        unknown: true,
    };

    fn shape() -> Shape {
        T::shape()
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Unknown => Ok(Self::Unknown),
            // One of any type may already tell its type. What an author leaves alone keeps it.
            Value::Dynamic(_, value) if value.is_null() => Ok(Self::Null),
            Value::Dynamic(_, value) if *value == Value::Unknown => Ok(Self::Unknown),
            known => match T::decode(known) {
                Ok(value) => Ok(Self::Known(value)),
                Err(Undecodable::Unknown) => Ok(Self::Unknown),
                Err(invalid) => Err(invalid),
            },
        }
    }

    fn encode(self) -> Value {
        match self {
            Self::Known(value) => value.encode(),
            Self::Null => Value::Null,
            Self::Unknown => Value::Unknown,
        }
    }
}

impl Field for String {
    fn shape() -> Shape {
        Shape::Type(Type::String)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::String(text) => Ok(text),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a string", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::String(self)
    }
}

impl Field for bool {
    fn shape() -> Shape {
        Shape::Type(Type::Bool)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Bool(value) => Ok(value),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a bool", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::Bool(self)
    }
}

impl Field for Number {
    fn shape() -> Shape {
        Shape::Type(Type::Number)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Number(number) => Ok(number),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a number", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::Number(self)
    }
}

impl Field for Value {
    fn shape() -> Shape {
        Shape::Type(Type::Dynamic)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        Ok(value)
    }

    fn encode(self) -> Value {
        self
    }
}

macro_rules! integer_fields {
    ($($integer:ty),*) => {$(
        impl Field for $integer {
            fn shape() -> Shape {
                Shape::Type(Type::Number)
            }

            fn decode(value: Value) -> Result<Self, Undecodable> {
                let number = Number::decode(value)?;
                number.to_i128().and_then(|integer| Self::try_from(integer).ok()).ok_or_else(|| {
                    let (low, high) = (Self::MIN, Self::MAX);
                    Undecodable::invalid(format!("A whole number from {low} to {high} is needed."))
                })
            }

            fn encode(self) -> Value {
                Value::Number(Number::from(self))
            }
        }
    )*};
}

integer_fields!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! float_fields {
    ($($float:ty),*) => {$(
        impl Field for $float {
            fn shape() -> Shape {
                Shape::Type(Type::Number)
            }

            /// The nearest float. A number too large for one, or so small that nothing is left of
            /// it, is refused.
            fn decode(value: Value) -> Result<Self, Undecodable> {
                let number = Number::decode(value)?;
                let text = number.to_string();
                let float: Self = text.parse().unwrap_or(Self::NAN);
                if float.is_finite() && (float != 0.0 || number == Number::from(0)) {
                    return Ok(float);
                }
                let (least, most) = (Self::MIN_POSITIVE, Self::MAX);
                Err(Undecodable::invalid(format!(
                    "A number of a size from about {least:e} to {most:e} is needed, or 0."
                )))
            }

            /// The shortest decimal that reads back as it. Infinities and not-a-number have no
            /// place in Terraform and become null.
            fn encode(self) -> Value {
                format!("{self:e}").parse().map_or(Value::Null, Value::Number)
            }
        }
    )*};
}

float_fields!(f32, f64);

impl<T: Field> Field for Vec<T> {
    fn shape() -> Shape {
        T::shape().collected(Nesting::List)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::List(elements) => elements
                .into_iter()
                .enumerate()
                .map(|(index, element)| {
                    let index = i64::try_from(index).unwrap_or(i64::MAX);
                    T::decode(element).map_err(|error| error.inside(Step::Index(index)))
                })
                .collect(),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a list", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::List(self.into_iter().map(T::encode).collect())
    }
}

impl<T: Field> Field for Set<T> {
    fn shape() -> Shape {
        T::shape().collected(Nesting::Set)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Set(elements) => elements
                .into_iter()
                .map(|element| T::decode(element).map_err(|error| error.inside(Step::SetElement)))
                .collect(),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a set", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::set(self.into_iter().map(T::encode))
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn shape() -> Shape {
        T::shape().collected(Nesting::Map)
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        match value {
            Value::Map(elements) => elements
                .into_iter()
                .map(|(key, element)| match T::decode(element) {
                    Ok(element) => Ok((key, element)),
                    Err(error) => Err(error.inside(Step::Key(key))),
                })
                .collect(),
            Value::Unknown => Err(Undecodable::Unknown),
            found => Err(Undecodable::mismatch("a map", &found)),
        }
    }

    fn encode(self) -> Value {
        Value::Map(
            self.into_iter()
                .map(|(key, element)| (key, element.encode()))
                .collect(),
        )
    }
}

impl Attribute {
    /// An attribute whose type is that of a model's field.
    pub fn of<F: AttributeField>(name: impl Into<String>) -> Self {
        Self::new(name, F::shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_element_that_is_unknown_makes_the_attribute_unknown() {
        let list = Value::List(vec!["a".into(), Value::Unknown]);
        assert_eq!(Attr::<Vec<String>>::decode(list.clone()), Ok(Attr::Unknown));
        assert_eq!(
            Attr::<Vec<Attr<String>>>::decode(list),
            Ok(Attr::Known(vec![Attr::from("a"), Attr::Unknown]))
        );
    }

    #[test]
    fn a_value_of_any_type_whose_type_is_known_is_still_null_or_unknown() {
        let typed = |value| Value::Dynamic(Type::String, Box::new(value));
        assert_eq!(Attr::<Value>::decode(typed(Value::Null)), Ok(Attr::Null));
        assert_eq!(
            Attr::<Value>::decode(typed(Value::Unknown)),
            Ok(Attr::Unknown)
        );
        let known = typed("a".into());
        assert_eq!(Attr::decode(known.clone()), Ok(Attr::Known(known)));
    }

    #[test]
    fn a_bare_element_that_is_null_is_an_error_at_its_place() {
        let map = Value::Map([("k".to_owned(), Value::Null)].into());
        let Err(error) = Attr::<BTreeMap<String, String>>::decode(map) else {
            panic!("null is no string");
        };
        let path = error.into_diagnostic().path.unwrap();
        assert_eq!(path.to_string(), r#"["k"]"#);
    }

    #[test]
    fn an_integer_out_of_range_says_the_range() {
        let error = u16::decode(65536_i64.into()).unwrap_err().into_diagnostic();
        assert_eq!(error.detail, "A whole number from 0 to 65535 is needed.");
    }

    #[test]
    fn a_float_is_the_nearest_one_and_what_has_none_is_refused() {
        let number = |text: &str| Value::Number(text.parse().unwrap());
        assert_eq!(f32::decode(number("1.23")), Ok(1.23));
        assert_eq!(1.23_f32.encode(), number("1.23"));
        assert_eq!(0.1_f64.encode(), number("0.1"));
        assert_eq!(f32::decode(number("0")), Ok(0.0));
        assert_eq!(f64::decode(number("3.5e38")), Ok(3.5e38));
        for text in ["3.5e38", "-3.5e38", "1.4e-46", "-1.4e-46", "1e-99999"] {
            assert!(f32::decode(number(text)).is_err(), "{text}");
        }
        for text in ["1.8e308", "-1.8e308", "1e-400"] {
            assert!(f64::decode(number(text)).is_err(), "{text}");
        }
        assert_eq!(f64::INFINITY.encode(), Value::Null);
    }
}
