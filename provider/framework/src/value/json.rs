//! The JSON codec, driven by type. State on disk has this form, and Terraform hands it over
//! unread when it asks for an upgrade.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Budget, Number, Type, Value, ValueError};

/// How large a JSON document may be. Parsed JSON takes many times its size, so that it gets a
/// quarter of what one message may hold; msgpack is read without a form between.
const JSON_BYTES_MAX: usize = 64 << 20;

/// What to do with attributes that the type doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownAttributes {
    /// They are an error.
    Refuse,
    /// They are left out: state of an earlier release may hold attributes since removed.
    Ignore,
}

pub(super) fn decode(
    bytes: &[u8],
    expected: &Type,
    unknown_attributes: UnknownAttributes,
) -> Result<Value, ValueError> {
    if bytes.len() > JSON_BYTES_MAX {
        return Err(ValueError::new(format!(
            "more than {JSON_BYTES_MAX} bytes of JSON"
        )));
    }
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| ValueError::new(error.to_string()))?;
    Reader {
        unknown_attributes,
        budget: Budget::new(),
    }
    .value(json, expected, 0)
}

pub(super) fn encode(value: &Value, expected: &Type) -> Result<Vec<u8>, ValueError> {
    Ok(to_json(value, expected)?.to_string().into_bytes())
}

struct Reader {
    unknown_attributes: UnknownAttributes,
    budget: Budget,
}

impl Reader {
    fn value(&mut self, json: Json, expected: &Type, depth: usize) -> Result<Value, ValueError> {
        self.budget.spend(depth)?;
        match (expected, json) {
            (_, Json::Null) => Ok(Value::Null),
            (Type::Dynamic, Json::Object(pair)) => self.dynamic(pair, depth),
            (Type::Bool, Json::Bool(value)) => Ok(Value::Bool(value)),
            (Type::Bool, Json::String(text)) => bool_of(&text),
            // Terraforms before 0.12 stored them so.
            (Type::Bool, Json::Number(number)) => bool_of(&number.to_string()),
            (Type::Number, Json::Number(number)) => parse(&number.to_string()),
            (Type::Number, Json::String(text)) => parse(&text),
            (Type::String, Json::String(text)) => Ok(Value::String(text)),
            (Type::String, Json::Number(number)) => Ok(Value::String(number.to_string())),
            (Type::String, Json::Bool(value)) => Ok(Value::String(value.to_string())),
            (Type::List(of), Json::Array(array)) => Ok(Value::List(self.array(array, of, depth)?)),
            (Type::Set(of), Json::Array(array)) => Ok(Value::set(self.array(array, of, depth)?)),
            (Type::Tuple(of), Json::Array(array)) if of.len() == array.len() => array
                .into_iter()
                .zip(of)
                .enumerate()
                .map(|(index, (json, of))| {
                    self.value(json, of, depth + 1)
                        .map_err(|error| error.inside(index))
                })
                .collect::<Result<_, _>>()
                .map(Value::Tuple),
            (Type::Map(of), Json::Object(object)) => object
                .into_iter()
                .map(|(key, json)| match self.value(json, of, depth + 1) {
                    Ok(value) => Ok((key, value)),
                    Err(error) => Err(error.inside(key)),
                })
                .collect::<Result<_, _>>()
                .map(Value::Map),
            (Type::Object(of, _), Json::Object(object)) => self.object(object, of, depth),
            (_, found) => Err(ValueError::mismatch(expected, kind(&found))),
        }
    }

    fn dynamic(
        &mut self,
        mut pair: serde_json::Map<String, Json>,
        depth: usize,
    ) -> Result<Value, ValueError> {
        let (Some(of), Some(value)) = (pair.remove("type"), pair.remove("value")) else {
            return Err(ValueError::new("a dynamic value has a type and a value"));
        };
        if let Some(name) = pair.keys().next() {
            return Err(ValueError::new("a dynamic value has a type and a value").inside(name));
        }
        let of = Type::from_json(&of).map_err(|error| ValueError::new(error.to_string()))?;
        let value = self.value(value, &of, depth + 1)?;
        Ok(value.of_any_type(of))
    }

    fn array(
        &mut self,
        array: Vec<Json>,
        of: &Type,
        depth: usize,
    ) -> Result<Vec<Value>, ValueError> {
        array
            .into_iter()
            .enumerate()
            .map(|(index, json)| {
                self.value(json, of, depth + 1)
                    .map_err(|error| error.inside(index))
            })
            .collect()
    }

    fn object(
        &mut self,
        mut object: serde_json::Map<String, Json>,
        of: &BTreeMap<String, Type>,
        depth: usize,
    ) -> Result<Value, ValueError> {
        let mut attributes = BTreeMap::new();
        for (name, of) in of {
            let json = object.remove(name).unwrap_or(Json::Null);
            let value = self
                .value(json, of, depth + 1)
                .map_err(|error| error.inside(name))?;
            attributes.insert(name.clone(), value);
        }
        match (self.unknown_attributes, object.keys().next()) {
            (UnknownAttributes::Refuse, Some(name)) => {
                Err(ValueError::new("the schema has no such attribute").inside(name))
            }
            (UnknownAttributes::Refuse, None) | (UnknownAttributes::Ignore, _) => {
                Ok(Value::Object(attributes))
            }
        }
    }
}

fn bool_of(text: &str) -> Result<Value, ValueError> {
    match text {
        "true" | "1" => Ok(Value::Bool(true)),
        "false" | "0" => Ok(Value::Bool(false)),
        _ => Err(ValueError::new("expected bool, found another text")),
    }
}

fn parse(text: &str) -> Result<Value, ValueError> {
    text.parse::<Number>()
        .map(Value::Number)
        .map_err(|error| ValueError::new(error.to_string()))
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn to_json(value: &Value, expected: &Type) -> Result<Json, ValueError> {
    Ok(match (value, expected) {
        (Value::Null, _) => Json::Null,
        (Value::Unknown, _) => return Err(ValueError::new("JSON can't say unknown")),
        (Value::Dynamic(Type::Dynamic, value), Type::Dynamic) => to_json(value, expected)?,
        (Value::Dynamic(of, value), Type::Dynamic) => {
            json!({ "type": of.to_json(), "value": to_json(value, of)? })
        }
        (Value::Bool(value), Type::Bool) => Json::Bool(*value),
        (Value::Number(number), Type::Number) => serde_json::from_str(&number.to_string())
            .map_err(|error| ValueError::new(error.to_string()))?,
        (Value::String(text), Type::String) => Json::String(text.clone()),
        (Value::List(elements), Type::List(of)) | (Value::Set(elements), Type::Set(of)) => {
            let element = |(index, element): (usize, &Value)| {
                to_json(element, of).map_err(|error| error.inside(index))
            };
            Json::Array(
                elements
                    .iter()
                    .enumerate()
                    .map(element)
                    .collect::<Result<_, _>>()?,
            )
        }
        (Value::Tuple(elements), Type::Tuple(of)) if elements.len() == of.len() => {
            let pairs = elements.iter().zip(of);
            Json::Array(
                pairs
                    .map(|(element, of)| to_json(element, of))
                    .collect::<Result<_, _>>()?,
            )
        }
        (Value::Map(elements), Type::Map(of)) => {
            let element = |(key, element): (&String, &Value)| match to_json(element, of) {
                Ok(json) => Ok((key.clone(), json)),
                Err(error) => Err(error.inside(key)),
            };
            Json::Object(elements.iter().map(element).collect::<Result<_, _>>()?)
        }
        (Value::Object(attributes), Type::Object(of, _)) => {
            let attribute = |(name, of): (&String, &Type)| {
                let value = attributes.get(name).unwrap_or(&Value::Null);
                match to_json(value, of) {
                    Ok(json) => Ok((name.clone(), json)),
                    Err(error) => Err(error.inside(name)),
                }
            };
            Json::Object(of.iter().map(attribute).collect::<Result<_, _>>()?)
        }
        (found, expected) => return Err(ValueError::mismatch(expected, found.kind())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit() {
        let text = b"123456789012345678901234567890.125";
        let value = decode(text, &Type::Number, UnknownAttributes::Refuse).unwrap();
        assert_eq!(encode(&value, &Type::Number).unwrap(), text);
    }

    #[test]
    fn attributes_since_removed_are_left_out_and_new_ones_are_null() {
        let of = Type::object([("kept", Type::Bool), ("new", Type::String)]);
        let text = br#"{"kept":true,"removed":{"a":1}}"#;
        let value = decode(text, &of, UnknownAttributes::Ignore).unwrap();
        assert_eq!(
            value,
            Value::object([("kept", true.into()), ("new", Value::Null)])
        );
        assert!(decode(text, &of, UnknownAttributes::Refuse).is_err());
    }

    #[test]
    fn unknown_has_no_json() {
        assert!(encode(&Value::Unknown, &Type::Bool).is_err());
    }
}
