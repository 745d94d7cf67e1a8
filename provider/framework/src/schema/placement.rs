//! What a schema may not hold because of whose it is: an action computes nothing, and only a
//! resource has a plan and a state to keep write-only values out of.

use super::{Attribute, Block, Schema, Shape};
use crate::{Diagnostic, Diagnostics, Path};

/// Whose a schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Provider,
    Resource,
    DataSource,
    EphemeralResource,
    ListResource,
    Action,
    StateStore,
}

impl Owner {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Resource => "resource",
            Self::DataSource => "data source",
            Self::EphemeralResource => "ephemeral resource",
            Self::ListResource => "list resource",
            Self::Action => "action",
            Self::StateStore => "state store",
        }
    }

    fn may_compute(self) -> bool {
        match self {
            Self::Resource | Self::DataSource | Self::EphemeralResource => true,
            Self::Provider | Self::ListResource | Self::Action | Self::StateStore => false,
        }
    }

    fn may_write_only(self) -> bool {
        match self {
            Self::Resource | Self::Action => true,
            Self::Provider
            | Self::DataSource
            | Self::EphemeralResource
            | Self::ListResource
            | Self::StateStore => false,
        }
    }
}

impl Schema {
    /// The attributes that have no place in a schema of this owner.
    pub(crate) fn misplaced(&self, owner: Owner, subject: &str) -> Diagnostics {
        let mut found = Vec::new();
        block(&self.block, owner, &Path::empty(), &mut found);
        let mistake = |(path, what): (Path, &str)| {
            let detail = format!(
                "{path}: {what} here. This is a mistake in the provider; please report it."
            );
            Diagnostic::error(format!("Invalid schema of {subject}"), detail)
        };
        found.into_iter().map(mistake).collect()
    }
}

fn block(of: &Block, owner: Owner, path: &Path, found: &mut Vec<(Path, &'static str)>) {
    attributes(&of.attributes, owner, path, found);
    for nested in &of.blocks {
        let path = path.clone().attribute(&nested.name);
        block(&nested.block, owner, &path, found);
    }
}

fn attributes(of: &[Attribute], owner: Owner, path: &Path, found: &mut Vec<(Path, &'static str)>) {
    for attribute in of {
        let path = path.clone().attribute(&attribute.name);
        if attribute.computed && !owner.may_compute() {
            found.push((path.clone(), "nothing is computed"));
        }
        if attribute.write_only && !owner.may_write_only() {
            found.push((path.clone(), "nothing is write-only"));
        }
        if let Shape::Nested(_, nested) = &attribute.shape {
            attributes(nested, owner, &path, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attr;

    #[test]
    fn what_is_computed_or_write_only_is_refused_where_it_makes_no_sense() {
        let token = Attribute::of::<Attr<String>>("token");
        let schema = Schema {
            version: 0,
            block: Block {
                attributes: vec![
                    token.clone().optional().write_only(),
                    Attribute {
                        name: "id".to_owned(),
                        ..token
                    }
                    .computed(),
                ],
                ..Block::default()
            },
        };
        for (owner, mistakes) in [
            (Owner::Resource, 0),
            (Owner::DataSource, 1),
            (Owner::EphemeralResource, 1),
            (Owner::Action, 1),
            (Owner::StateStore, 2),
            (Owner::Provider, 2),
        ] {
            let found = schema.misplaced(owner, "example");
            assert_eq!(found.iter().count(), mistakes, "{owner:?}: {found:?}");
        }
    }
}
