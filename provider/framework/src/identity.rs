//! The identity of a resource: the few attributes that name one remote object for good.
//!
//! It is read from the model and never kept beside it, so that an identity and its state can't
//! disagree. A caller that knows no identities sends none and loses nothing.

use crate::proto::tfplugin6 as wire;
use crate::schema::{Block, IdentityPart};
use crate::value::{Number, Type, Value};
use crate::{Diagnostic, Diagnostics, Field, Model, Path};

/// A type that a part of an identity can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of an identity",
    label = "not a string, a number, a bool or a list of those",
    note = "an identity is made of String, bool, numbers, and Vec<_> of those"
)]
pub trait IdentityField: Field {}

macro_rules! identity_fields {
    ($($of:ty),*) => {$(
        impl IdentityField for $of {}
        impl IdentityField for Vec<$of> {}
    )*};
}

identity_fields!(
    String, bool, Number, f64, u8, u16, u32, u64, i8, i16, i32, i64
);

/// What names an object, drawn from the schema of its model.
#[derive(Debug)]
pub(crate) struct IdentitySchema {
    version: i64,
    parts: Vec<Part>,
    pub(crate) of: Type,
}

#[derive(Debug)]
struct Part {
    name: String,
    of: Type,
    description: String,
    is_required: bool,
}

impl IdentitySchema {
    /// The identity of a model; `None` where no attribute is marked.
    pub(crate) fn of_block(block: &Block, version: i64) -> Option<Self> {
        let parts: Vec<Part> = block
            .attributes
            .iter()
            .filter_map(|attribute| {
                Some(Part {
                    name: attribute.name.clone(),
                    of: attribute.shape.value_type(),
                    description: attribute.description.clone(),
                    is_required: match attribute.identity? {
                        IdentityPart::Required => true,
                        IdentityPart::Optional => false,
                    },
                })
            })
            .collect();
        let types = parts
            .iter()
            .map(|part| (part.name.clone(), part.of.clone()));
        let of = Type::object(types);
        (!parts.is_empty()).then_some(Self { version, parts, of })
    }

    pub(crate) fn to_wire(&self) -> wire::ResourceIdentitySchema {
        use wire::resource_identity_schema::IdentityAttribute;
        let attribute = |part: &Part| IdentityAttribute {
            name: part.name.clone(),
            r#type: part.of.to_json_bytes(),
            required_for_import: part.is_required,
            optional_for_import: !part.is_required,
            description: part.description.clone(),
        };
        wire::ResourceIdentitySchema {
            version: self.version,
            identity_attributes: self.parts.iter().map(attribute).collect(),
        }
    }

    /// The identity in a model's value. What isn't set or known there is taken from another
    /// identity of the same object.
    pub(crate) fn of_value(&self, value: &Value, other: Option<&Value>) -> Value {
        let part = |part: &Part| {
            let own = value.attribute(&part.name);
            let of = match other.map(|other| other.attribute(&part.name)) {
                Some(other) if !is_set(own) && is_set(other) => other,
                Some(_) | None => own,
            };
            (part.name.clone(), of.clone())
        };
        Value::object(self.parts.iter().map(part))
    }

    /// The parts that two identities say differently. What one of them leaves open is no
    /// difference.
    pub(crate) fn changed(&self, before: &Value, after: &Value) -> Vec<&str> {
        let differs = |name: &&str| {
            let (before, after) = (before.attribute(name), after.attribute(name));
            is_set(before) && is_set(after) && before != after
        };
        self.names().filter(differs).collect()
    }

    /// The required parts that aren't set or known.
    pub(crate) fn missing(&self, identity: &Value) -> Vec<&str> {
        let parts = self.parts.iter().filter(|part| part.is_required);
        parts
            .map(|part| part.name.as_str())
            .filter(|name| !is_set(identity.attribute(name)))
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// The one part that says everything, where it is a text.
    fn only_text(&self) -> Option<&str> {
        let mut required = self.parts.iter().filter(|part| part.is_required);
        match (required.next(), required.next()) {
            (Some(part), None) if part.of == Type::String => Some(&part.name),
            _ => None,
        }
    }
}

/// The model that an id alone names, where that is enough.
pub(crate) fn model_by_id<M: Model>(type_name: &str, id: &str) -> Result<M, Diagnostics> {
    let unable =
        |detail: String| Diagnostic::error(format!("Unable to import {type_name}"), detail);
    let schema = IdentitySchema::of_block(&M::block(), 0)
        .ok_or_else(|| unable("This resource can't be imported.".to_owned()))?;
    let Some(name) = schema.only_text() else {
        let names: Vec<&str> = schema.names().collect();
        let detail = format!(
            "An id alone doesn't name this resource. Write an import block with an identity of: \
             {}.",
            names.join(", ")
        );
        return Err(unable(detail).into());
    };
    M::from_value(Value::object([(name, id.into())]))
        .map_err(|error| error.into_diagnostic().into())
}

/// One error for each part of an identity that changed.
pub(crate) fn changes(type_name: &str, names: &[&str]) -> Diagnostics {
    let error = |name: &&str| {
        let detail = format!(
            "{name} is part of what identifies this object, and it changed while the object \
             stayed. This is a mistake in the provider; please report it to its authors."
        );
        Diagnostic::error(format!("Changed identity of {type_name}"), detail).at(Path::root(*name))
    };
    names.iter().map(error).collect()
}

/// One error for each part of an identity that isn't there.
pub(crate) fn gaps(type_name: &str, names: &[&str]) -> Diagnostics {
    let error = |name: &&str| {
        let detail = format!(
            "{name} is part of what identifies this object, and the provider left it empty. \
             This is a mistake in the provider; please report it to its authors."
        );
        Diagnostic::error(format!("Incomplete identity of {type_name}"), detail)
            .at(Path::root(*name))
    };
    names.iter().map(error).collect()
}

fn is_set(part: &Value) -> bool {
    !part.is_null() && part.is_wholly_known()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attr;
    use crate::schema::Attribute;

    fn schema() -> IdentitySchema {
        let text = |name: &str| Attribute::of::<Attr<String>>(name).required();
        let block = Block {
            attributes: vec![
                text("site").identity::<String>(IdentityPart::Required),
                text("zone").identity::<String>(IdentityPart::Optional),
                text("size"),
            ],
            ..Block::default()
        };
        IdentitySchema::of_block(&block, 3).unwrap()
    }

    fn identity(site: Value, zone: Value) -> Value {
        Value::object([("site", site), ("zone", zone)])
    }

    #[test]
    fn what_one_identity_leaves_open_the_other_fills() {
        let value = Value::object([("site", Value::Unknown), ("size", "xl".into())]);
        let other = identity("north".into(), Value::Unknown);
        assert_eq!(
            schema().of_value(&value, Some(&other)),
            identity("north".into(), Value::Null)
        );
    }

    #[test]
    fn only_what_both_say_can_differ() {
        let schema = schema();
        let before = identity("north".into(), Value::Null);
        assert!(
            schema
                .changed(&before, &identity(Value::Unknown, "z".into()))
                .is_empty()
        );
        assert_eq!(
            schema.changed(&before, &identity("south".into(), Value::Null)),
            ["site"]
        );
    }

    #[test]
    fn an_optional_part_is_never_missing() {
        assert_eq!(
            schema().missing(&identity(Value::Null, Value::Null)),
            ["site"]
        );
    }
}
