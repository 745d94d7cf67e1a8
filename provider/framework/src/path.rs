//! Where in a value something is. A diagnostic without a path makes people search.

use std::fmt;

use crate::proto::tfplugin6::{AttributePath, attribute_path};

/// One step inward.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object or a block.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list.
    Index(i64),
    /// Some element of a set. Terraform has no way to name it, so that it shows the set.
    SetElement,
}

/// The way from the root to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Step>);

impl Path {
    /// The root: the whole object.
    pub fn empty() -> Self {
        Self::default()
    }

    /// An attribute or block at the top.
    pub fn root(name: impl Into<String>) -> Self {
        Self::empty().attribute(name)
    }

    /// The attribute of the object here.
    #[must_use]
    pub fn attribute(self, name: impl Into<String>) -> Self {
        self.step(Step::Attribute(name.into()))
    }

    /// The element of the map here.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The element of the list here.
    #[must_use]
    pub fn index(self, index: usize) -> Self {
        self.step(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// Some element of the set here.
    #[must_use]
    pub fn set_element(self) -> Self {
        self.step(Step::SetElement)
    }

    /// One step further in.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// The steps from the root inward.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes one step further in.
    pub(crate) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Goes one step back.
    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    /// This path seen from one level further out.
    #[must_use]
    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.0.insert(0, step);
        self
    }

    /// What can be said on the wire: the path ends at a set.
    pub(crate) fn to_wire(&self) -> AttributePath {
        use attribute_path::step::Selector;
        let selector = |step: &Step| match step {
            Step::Attribute(name) => Some(Selector::AttributeName(name.clone())),
            Step::Key(key) => Some(Selector::ElementKeyString(key.clone())),
            Step::Index(index) => Some(Selector::ElementKeyInt(*index)),
            Step::SetElement => None,
        };
        let steps = self
            .0
            .iter()
            .map_while(selector)
            .map(|selector| attribute_path::Step {
                selector: Some(selector),
            })
            .collect();
        AttributePath { steps }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => formatter.write_str(name)?,
                Step::Attribute(name) => write!(formatter, ".{name}")?,
                Step::Key(key) => write!(formatter, "[{key:?}]")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::SetElement => formatter.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_configuration() {
        let path = Path::root("sites")
            .key("north")
            .attribute("routes")
            .index(2);
        assert_eq!(path.to_string(), r#"sites["north"].routes[2]"#);
    }

    #[test]
    fn on_the_wire_a_path_ends_at_the_set() {
        let path = Path::root("offers").set_element().attribute("price");
        assert_eq!(path.to_wire().steps.len(), 1);
    }
}
