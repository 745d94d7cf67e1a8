//! One attribute with all that is said about it: flags, default, checks, and what happens to it in
//! a plan.

use std::fmt;
use std::sync::Arc;

use super::Shape;
use crate::identity::IdentityField;
use crate::value::Value;
use crate::{Attr, AttributeField, CollectionField, Diagnostic, Field};

/// One attribute.
#[derive(Clone)]
pub struct Attribute {
    /// Its name in the configuration.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
    /// What it is for, in Markdown.
    pub description: String,
    /// Why it should no longer be used.
    pub deprecated: Option<String>,
    /// It has to be configured.
    pub required: bool,
    /// It may be configured.
    pub optional: bool,
    /// The provider may set it.
    pub computed: bool,
    /// Terraform doesn't print it.
    pub sensitive: bool,
    /// It is never stored, neither in the plan nor in the state.
    pub write_only: bool,
    /// Its value where it isn't configured.
    pub default: Option<Value>,
    /// What its known values have to meet.
    pub validators: Vec<Validator>,
    /// What happens to it in a plan.
    pub modifiers: Vec<Modifier>,
    /// Its part in the identity of a resource.
    pub identity: Option<IdentityPart>,
    /// Which different values mean the same.
    pub equivalent: Option<Equivalence>,
    /// How many elements a collection has to have.
    pub items_min: usize,
    /// How many elements a collection may have; 0 for any number.
    pub items_max: usize,
}

/// An attribute's part in the identity of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityPart {
    /// An import by identity has to give it.
    Required,
    /// An import by identity may give it.
    Optional,
}

/// Judges whether two known values mean the same.
pub type Equivalence = Arc<dyn Fn(&Value, &Value) -> bool + Send + Sync>;

/// Checks one known value; the message says what is wrong with it.
#[derive(Clone)]
pub struct Validator(Arc<Check>);

type Check = dyn Fn(&Value) -> Result<(), Diagnostic> + Send + Sync;

/// What happens to an attribute in a plan.
#[derive(Clone)]
pub enum Modifier {
    /// On an update, an unknown value stays what it was.
    UseStateForUnknown,
    /// A changed value means another object.
    RequiresReplace,
    /// A changed value means another object where this says so: prior value, planned value.
    RequiresReplaceIf(ReplaceCondition),
}

/// Judges a change from the prior value to the planned one.
pub type ReplaceCondition = Arc<dyn Fn(&Value, &Value) -> bool + Send + Sync>;

impl Attribute {
    /// An attribute of this shape.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        Self {
            name: name.into(),
            shape,
            description: String::new(),
            deprecated: None,
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            write_only: false,
            default: None,
            validators: Vec::new(),
            modifiers: Vec::new(),
            identity: None,
            equivalent: None,
            items_min: 0,
            items_max: 0,
        }
    }

    /// It has to be configured.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It may be configured.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The provider may set it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    /// Terraform doesn't print it.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// It is never stored.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// What it is for, in Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Why it should no longer be used.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecated = Some(message.into());
        self
    }

    /// Its value where it isn't configured.
    #[must_use]
    pub fn default_value<T: Field>(mut self, value: T) -> Self {
        self.default = Some(value.encode());
        self
    }

    /// What happens to it in a plan.
    #[must_use]
    pub fn modifier(mut self, modifier: Modifier) -> Self {
        self.modifiers.push(modifier);
        self
    }

    /// What its known values have to meet.
    #[must_use]
    pub fn validator(mut self, validator: Validator) -> Self {
        self.validators.push(validator);
        self
    }

    /// How many elements a list, set or map has; at most 0 for any number.
    #[must_use]
    pub fn items<T: CollectionField>(mut self, min: usize, max: usize) -> Self {
        (self.items_min, self.items_max) = (min, max);
        self
    }

    /// It is part of the identity. `T` is the type of its values.
    #[must_use]
    pub fn identity<T: IdentityField>(mut self, part: IdentityPart) -> Self {
        self.identity = Some(part);
        self
    }

    /// Where a known value comes that means the same as the one before, that one is kept.
    #[must_use]
    pub fn equivalent<T: Field>(
        mut self,
        same: impl Fn(&T, &T) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.equivalent = Some(Arc::new(move |before, after| {
            match (T::decode(before.clone()), T::decode(after.clone())) {
                (Ok(before), Ok(after)) => same(&before, &after),
                // What can't be judged isn't the same.
                _ => false,
            }
        }));
        self
    }
}

impl Validator {
    /// A check of a typed value. The error's text becomes the diagnostic's detail.
    pub fn new<T: Field, E: fmt::Display>(
        check: impl Fn(&T) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |value| match T::decode(value.clone()) {
            Ok(typed) => {
                check(&typed).map_err(|error| Diagnostic::error("Invalid value", error.to_string()))
            }
            // What isn't known yet is checked once it is; what can't be read is reported where
            // the whole configuration is read.
            Err(_) => Ok(()),
        }))
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), Diagnostic> {
        (self.0)(value)
    }
}

impl Modifier {
    /// A change that means another object where the condition says so.
    pub fn requires_replace_if<F: AttributeField>(
        condition: impl Fn(&Attr<F::Inner>, &Attr<F::Inner>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::RequiresReplaceIf(Arc::new(move |prior, planned| {
            match (Attr::decode(prior.clone()), Attr::decode(planned.clone())) {
                (Ok(prior), Ok(planned)) => condition(&prior, &planned),
                // A value that can't be judged is taken for another object.
                _ => true,
            }
        }))
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attribute")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
