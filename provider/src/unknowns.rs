//! Values that are not known yet, and those that are missing inside others.
//!
//! A plan is checked with what is known. An unknown value is replaced by one that no rule objects
//! to, its path is remembered, and findings about it are dropped: admission repeats the check once
//! everything is known.

use std::collections::BTreeMap;

use hanse_core::finding::{Finding, Path};
use terraform_plugin::{Attr, Set};

/// The paths of the values that were not known, and of elements that are null.
#[derive(Debug, Default)]
pub(crate) struct Unknowns {
    paths: Vec<Path>,
    nulls: Vec<Path>,
}

impl Unknowns {
    /// The value, or its type's default where there is none or it is unknown.
    pub(crate) fn value<T: Clone + Default>(&mut self, path: Path, attribute: &Attr<T>) -> T {
        self.value_or(path, attribute, T::default())
    }

    /// The value; the type's default where there is none; `harmless` where it is unknown.
    pub(crate) fn value_or<T: Clone + Default>(
        &mut self,
        path: Path,
        attribute: &Attr<T>,
        harmless: T,
    ) -> T {
        match attribute {
            Attr::Known(value) => value.clone(),
            Attr::Null => T::default(),
            Attr::Unknown => {
                self.paths.push(path);
                harmless
            }
        }
    }

    /// The value, or the schema's default where there is none yet (defaults come after validation)
    /// or it is unknown.
    pub(crate) fn with_default<T: Clone + Default>(
        &mut self,
        path: Path,
        attribute: &Attr<T>,
        default: T,
    ) -> T {
        if attribute.is_null() {
            return default;
        }
        self.value_or(path, attribute, default)
    }

    /// The value, if there is one and it is known.
    pub(crate) fn optional<'a, T>(&mut self, path: Path, attribute: &'a Attr<T>) -> Option<&'a T> {
        if attribute.is_unknown() {
            self.paths.push(path);
        }
        attribute.as_known()
    }

    /// The elements; none at all as long as one is unknown.
    pub(crate) fn list(&mut self, path: Path, attribute: &Attr<Vec<Attr<String>>>) -> Vec<String> {
        let elements = self
            .optional(path.clone(), attribute)
            .map_or(&[][..], Vec::as_slice);
        self.elements(path, elements)
    }

    /// The elements; none at all as long as one is unknown.
    pub(crate) fn set(&mut self, path: Path, attribute: &Attr<Set<Attr<String>>>) -> Vec<String> {
        let Some(elements) = self.optional(path.clone(), attribute) else {
            return Vec::new();
        };
        self.elements(path, elements)
    }

    /// The entries; none at all as long as one is unknown.
    pub(crate) fn map(
        &mut self,
        path: Path,
        attribute: &Attr<BTreeMap<String, Attr<String>>>,
    ) -> BTreeMap<String, String> {
        let Some(entries) = self.optional(path.clone(), attribute) else {
            return BTreeMap::new();
        };
        if entries.values().any(Attr::is_unknown) {
            self.paths.push(path);
            return BTreeMap::new();
        }
        let nulls = entries.iter().filter(|(_, value)| value.is_null());
        self.nulls
            .extend(nulls.map(|(key, _)| path.clone().key(key)));
        let known = entries
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_known()?)));
        known
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// What is found at `path` rests on what is at `on` too: as long as that isn't known, it is a
    /// guess. To be said once all has been read.
    pub(crate) fn rests_on(&mut self, path: Path, on: &Path) {
        let is_unknown = |known: &Path| known.is_within(on) || on.is_within(known);
        if self.paths.iter().any(is_unknown) {
            self.paths.push(path);
        }
    }

    /// Whether something at that path, or inside it, is not known yet.
    pub(crate) fn is_unknown(&self, path: &Path) -> bool {
        self.paths.iter().any(|unknown| unknown.is_within(path))
    }

    /// Whether a finding is about something that is not known yet.
    pub(crate) fn hide(&self, finding: &Finding) -> bool {
        self.paths
            .iter()
            .any(|path| finding.path.is_within(path) || path.is_within(&finding.path))
    }

    /// What is wrong with elements that are null: to leave them out would be a guess.
    pub(crate) fn missing(&self) -> Vec<Finding> {
        let detail = "Write a value here, or leave the whole element out.";
        let nulls = self.nulls.iter().cloned();
        nulls
            .map(|path| Finding::error(path, "An element is null", detail))
            .collect()
    }

    fn elements(&mut self, path: Path, elements: &[Attr<String>]) -> Vec<String> {
        if elements.iter().any(Attr::is_unknown) {
            self.paths.push(path);
            return Vec::new();
        }
        let nulls = elements
            .iter()
            .enumerate()
            .filter(|(_, value)| value.is_null());
        self.nulls
            .extend(nulls.map(|(index, _)| path.clone().index(index)));
        elements
            .iter()
            .filter_map(Attr::as_known)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_is_null_is_found_at_its_place() {
        let mut unknowns = Unknowns::default();
        let list = Attr::Known(vec![Attr::from("10.0.0.0/8"), Attr::Null]);
        unknowns.list(Path::of("networks"), &list);
        let map = Attr::Known([("site".to_owned(), Attr::Null)].into());
        unknowns.map(Path::of("labels"), &map);
        let found: Vec<String> = unknowns
            .missing()
            .iter()
            .map(|finding| finding.path.to_string())
            .collect();
        assert_eq!(found, ["networks[1]", "labels[\"site\"]"]);
    }

    #[test]
    fn a_finding_that_rests_on_an_unknown_elsewhere_is_hidden() {
        let mut unknowns = Unknowns::default();
        unknowns.value::<String>(Path::of("timings").attribute("lease_ttl"), &Attr::Unknown);
        unknowns.rests_on(Path::of("rto"), &Path::of("timings"));
        unknowns.rests_on(Path::of("rpo"), &Path::of("replication"));
        let at = |name| Finding::error(Path::of(name), "wrong", "because");
        assert!(unknowns.hide(&at("rto")));
        assert!(!unknowns.hide(&at("rpo")));
        assert!(unknowns.is_unknown(&Path::of("timings")));
        assert!(!unknowns.is_unknown(&Path::of("replication")));
    }

    #[test]
    fn findings_at_inside_and_around_an_unknown_are_hidden() {
        let mut unknowns = Unknowns::default();
        unknowns.list(
            Path::of("sites").key("a").attribute("routes"),
            &Attr::Known(vec![Attr::from("10.0.0.0/8"), Attr::Unknown]),
        );
        let at = |path| Finding::error(path, "wrong", "because");
        assert!(unknowns.hide(&at(Path::of("sites").key("a").attribute("routes").index(1))));
        assert!(unknowns.hide(&at(Path::of("sites"))));
        assert!(!unknowns.hide(&at(Path::of("sites").key("b"))));
    }
}
