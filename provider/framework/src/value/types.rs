//! Types of values and their JSON form, in which schemas and dynamic values carry them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value as Json, json};

use super::DEPTH_MAX;

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Any type; the value carries its own.
    Dynamic,
    /// A boolean.
    Bool,
    /// A number.
    Number,
    /// Text.
    String,
    /// Elements in order.
    List(Box<Type>),
    /// Elements without order.
    Set(Box<Type>),
    /// Elements by key.
    Map(Box<Type>),
    /// Attributes by name, and which of them may be left out.
    Object(BTreeMap<String, Type>, BTreeSet<String>),
    /// Elements each of its own type.
    Tuple(Vec<Type>),
}

/// The JSON is no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a type: {0}")]
pub struct InvalidType(String);

impl Type {
    /// An object type with no optional attribute.
    pub fn object<K: Into<String>>(attributes: impl IntoIterator<Item = (K, Self)>) -> Self {
        let attributes = attributes
            .into_iter()
            .map(|(name, of)| (name.into(), of))
            .collect();
        Self::Object(attributes, BTreeSet::new())
    }

    /// A list of this type.
    pub fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// A set of this type.
    pub fn set(of: Self) -> Self {
        Self::Set(Box::new(of))
    }

    /// A map of this type.
    pub fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    /// The JSON form.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Dynamic => json!("dynamic"),
            Self::Bool => json!("bool"),
            Self::Number => json!("number"),
            Self::String => json!("string"),
            Self::List(of) => json!(["list", of.to_json()]),
            Self::Set(of) => json!(["set", of.to_json()]),
            Self::Map(of) => json!(["map", of.to_json()]),
            Self::Object(attributes, optional) => {
                let attributes: serde_json::Map<String, Json> = attributes
                    .iter()
                    .map(|(name, of)| (name.clone(), of.to_json()))
                    .collect();
                if optional.is_empty() {
                    json!(["object", attributes])
                } else {
                    json!(["object", attributes, optional])
                }
            }
            Self::Tuple(elements) => {
                json!([
                    "tuple",
                    elements.iter().map(Self::to_json).collect::<Vec<_>>()
                ])
            }
        }
    }

    /// The JSON form as bytes.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads the JSON form.
    pub fn from_json(json: &Json) -> Result<Self, InvalidType> {
        Self::read(json, 0)
    }

    /// Reads the JSON form from bytes.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, InvalidType> {
        let json = serde_json::from_slice(bytes).map_err(|error| InvalidType(error.to_string()))?;
        Self::from_json(&json)
    }

    fn read(json: &Json, depth: usize) -> Result<Self, InvalidType> {
        if depth > DEPTH_MAX {
            return Err(InvalidType(format!(
                "nested deeper than {DEPTH_MAX} levels"
            )));
        }
        if let Some(name) = json.as_str() {
            return match name {
                "dynamic" => Ok(Self::Dynamic),
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "string" => Ok(Self::String),
                _ => Err(InvalidType("no such primitive".to_owned())),
            };
        }
        let parts = json.as_array().map(Vec::as_slice).unwrap_or_default();
        let (kind, of) = match parts {
            [kind, of, ..] => (kind.as_str().unwrap_or_default(), of),
            _ => return Err(InvalidType("expected a name or a pair".to_owned())),
        };
        match (kind, parts.len()) {
            ("list", 2) => Ok(Self::list(Self::read(of, depth + 1)?)),
            ("set", 2) => Ok(Self::set(Self::read(of, depth + 1)?)),
            ("map", 2) => Ok(Self::map(Self::read(of, depth + 1)?)),
            ("tuple", 2) => of
                .as_array()
                .ok_or_else(|| InvalidType("a tuple lists its elements".to_owned()))?
                .iter()
                .map(|element| Self::read(element, depth + 1))
                .collect::<Result<_, _>>()
                .map(Self::Tuple),
            ("object", 2 | 3) => Self::read_object(of, parts.get(2), depth),
            _ => Err(InvalidType("no such kind of collection".to_owned())),
        }
    }

    fn read_object(of: &Json, optional: Option<&Json>, depth: usize) -> Result<Self, InvalidType> {
        let attributes = of
            .as_object()
            .ok_or_else(|| InvalidType("an object names its attributes".to_owned()))?
            .iter()
            .map(|(name, of)| Ok((name.clone(), Self::read(of, depth + 1)?)))
            .collect::<Result<BTreeMap<_, _>, InvalidType>>()?;
        let optional = match optional {
            None => BTreeSet::new(),
            Some(names) => names
                .as_array()
                .ok_or_else(|| InvalidType("optional attributes are a list".to_owned()))?
                .iter()
                .map(|name| name.as_str().filter(|name| attributes.contains_key(*name)))
                .map(|name| name.map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| InvalidType("an optional attribute is not declared".to_owned()))?,
        };
        Ok(Self::Object(attributes, optional))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic => formatter.write_str("any type"),
            Self::Bool => formatter.write_str("bool"),
            Self::Number => formatter.write_str("number"),
            Self::String => formatter.write_str("string"),
            Self::List(of) => write!(formatter, "list of {of}"),
            Self::Set(of) => write!(formatter, "set of {of}"),
            Self::Map(of) => write!(formatter, "map of {of}"),
            Self::Object(..) => formatter.write_str("object"),
            Self::Tuple(elements) => write!(formatter, "tuple of {}", elements.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_from_their_json() {
        let of = Type::object([
            ("a", Type::list(Type::map(Type::Dynamic))),
            ("b", Type::Tuple(vec![Type::Bool, Type::set(Type::Number)])),
        ]);
        assert_eq!(Type::from_json_bytes(&of.to_json_bytes()), Ok(of));
        let text = br#"["object",{"a":"string"},["a"]]"#;
        let read = Type::from_json_bytes(text).unwrap();
        assert_eq!(read.to_json_bytes(), text);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "7",
            "null",
            "[]",
            r#""text""#,
            r#"["list"]"#,
            r#"["list","string","string"]"#,
            r#"["object",{},["missing"]]"#,
            r#"["tuple","string"]"#,
            "[",
        ] {
            assert!(Type::from_json_bytes(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}\"string\"{}", "[\"list\",".repeat(200), "]".repeat(200));
        assert!(Type::from_json_bytes(deep.as_bytes()).is_err());
    }
}
