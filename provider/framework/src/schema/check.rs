//! Mistakes of an author that a schema can hold. They are told before Terraform refuses the
//! schema with less to say.

use std::collections::BTreeSet;

use super::{Attribute, Block, Nesting, Schema, Shape};
use crate::{Diagnostic, Diagnostics, Path};

/// Names that Terraform keeps to itself at the top of a resource or data block.
const RESERVED: [&str; 7] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
];

const NESTED_IDENTITY: &str = "an identity is made of attributes at the top only";

impl Schema {
    /// What is wrong with this schema; the subject names whose it is.
    pub(crate) fn mistakes(&self, subject: &str) -> Diagnostics {
        let mut found = Mistakes {
            subject,
            diagnostics: Diagnostics::new(),
        };
        let names = self
            .block
            .attributes
            .iter()
            .map(|attribute| attribute.name.as_str());
        for name in names.chain(self.block.blocks.iter().map(|block| block.name.as_str())) {
            if RESERVED.contains(&name) {
                found.report(Path::root(name), "Terraform keeps this name to itself");
            }
        }
        found.block(&self.block, &Path::empty());
        found.diagnostics
    }
}

struct Mistakes<'a> {
    subject: &'a str,
    diagnostics: Diagnostics,
}

impl Mistakes<'_> {
    fn report(&mut self, path: Path, mistake: &str) {
        self.diagnostics.push(Diagnostic::error(
            format!("Invalid schema of {}", self.subject),
            format!("{path}: {mistake}. This is a mistake in the provider; please report it."),
        ));
    }

    fn block(&mut self, block: &Block, path: &Path) {
        let mut names = BTreeSet::new();
        for nested in &block.blocks {
            let at = path.clone().attribute(&nested.name);
            self.name(&nested.name, &mut names, &at);
            let mut attributes = nested.block.attributes.iter();
            if attributes.any(|attribute| attribute.identity.is_some()) {
                self.report(at.clone(), NESTED_IDENTITY);
            }
            self.block(&nested.block, &at);
        }
        self.attributes(&block.attributes, &mut names, path);
    }

    fn attributes<'b>(
        &mut self,
        attributes: &'b [Attribute],
        names: &mut BTreeSet<&'b str>,
        path: &Path,
    ) {
        for attribute in attributes {
            let at = path.clone().attribute(&attribute.name);
            self.name(&attribute.name, names, &at);
            self.flags(attribute, &at);
            if let Shape::Nested(nesting, nested) = &attribute.shape {
                if *nesting == Nesting::Set && nested.iter().any(has_write_only) {
                    self.report(at.clone(), "a set can't hold a write-only attribute");
                }
                if nested.iter().any(|attribute| attribute.identity.is_some()) {
                    self.report(at.clone(), NESTED_IDENTITY);
                }
                self.attributes(nested, &mut BTreeSet::new(), &at);
            }
        }
    }

    fn name<'b>(&mut self, name: &'b str, names: &mut BTreeSet<&'b str>, path: &Path) {
        if !is_name(name) {
            self.report(path.clone(), "a name is made of a-z, 0-9 and _");
        }
        if !names.insert(name) {
            self.report(path.clone(), "the name comes twice");
        }
    }

    fn flags(&mut self, attribute: &Attribute, path: &Path) {
        let Attribute {
            required,
            optional,
            computed,
            write_only,
            ..
        } = *attribute;
        if required && (optional || computed) {
            self.report(path.clone(), "required excludes optional and computed");
        }
        if !required && !optional && !computed {
            self.report(
                path.clone(),
                "one of required, optional and computed is needed",
            );
        }
        if write_only && computed {
            self.report(path.clone(), "write-only excludes computed");
        }
        if attribute.identity.is_some() && (write_only || attribute.sensitive) {
            self.report(
                path.clone(),
                "an identity is stored and shown, so that no part of it is write-only or sensitive",
            );
        }
        if attribute.default.is_some() && !(optional && computed) {
            self.report(path.clone(), "a default needs both optional and computed");
        }
        let checks = attribute.validators.iter();
        for default in attribute.default.iter() {
            for refused in checks
                .clone()
                .filter_map(|check| check.check(default).err())
            {
                let why = refused.detail.trim_end_matches('.');
                self.report(
                    path.clone(),
                    &format!("its own validator refuses the default: {why}"),
                );
            }
        }
    }
}

/// Whether Terraform takes it for the name of an attribute, a function or a parameter.
pub(crate) fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    let begins = letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
    let goes_on = letters
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    begins && goes_on
}

fn has_write_only(attribute: &Attribute) -> bool {
    let nested = match &attribute.shape {
        Shape::Type(_) => &[],
        Shape::Nested(_, nested) => nested.as_slice(),
    };
    attribute.write_only || nested.iter().any(has_write_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attr;
    use crate::schema::IdentityPart;

    fn mistakes(attributes: Vec<Attribute>) -> Vec<String> {
        let block = Block {
            attributes,
            ..Block::default()
        };
        let found = Schema { version: 0, block }.mistakes("resource example");
        found
            .iter()
            .map(|diagnostic| diagnostic.detail.clone())
            .collect()
    }

    #[test]
    fn a_sound_schema_has_no_mistakes() {
        let attribute = Attribute::of::<Attr<i64>>("port")
            .optional()
            .computed()
            .default_value(1_i64);
        assert!(mistakes(vec![attribute]).is_empty());
    }

    #[test]
    fn a_default_that_its_own_validator_refuses_is_a_mistake() {
        let even = |value: &i64| {
            if value % 2 == 0 {
                Ok(())
            } else {
                Err("It has to be even.")
            }
        };
        let attribute = |default: i64| {
            Attribute::of::<Attr<i64>>("count_of")
                .optional()
                .computed()
                .validator(crate::schema::Validator::new(even))
                .default_value(default)
        };
        assert!(mistakes(vec![attribute(2)]).is_empty());
        let found = mistakes(vec![attribute(3)]);
        assert!(
            found[0].contains("count_of") && found[0].contains("even"),
            "{found:?}"
        );
    }

    #[test]
    fn each_mistake_names_the_attribute() {
        let text = || Attribute::of::<Attr<String>>("name");
        let inner = Attribute::of::<Attr<String>>("inner")
            .required()
            .identity::<String>(IdentityPart::Required);
        for attribute in [
            text(),
            text().required().optional(),
            text().computed().write_only(),
            text().optional().default_value("x".to_owned()),
            Attribute::of::<Attr<String>>("Name").optional(),
            Attribute::of::<Attr<String>>("count").optional(),
            text()
                .required()
                .sensitive()
                .identity::<String>(IdentityPart::Required),
            Attribute::new("name", Shape::Nested(Nesting::List, vec![inner])).required(),
        ] {
            let found = mistakes(vec![attribute.clone()]);
            assert_eq!(found.len(), 1, "{attribute:?}: {found:?}");
            assert!(found[0].starts_with(&attribute.name));
        }
        assert_eq!(
            mistakes(vec![text().optional(), text().optional()]).len(),
            1
        );
    }
}
