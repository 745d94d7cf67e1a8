//! Which element of a set was meant by which. Elements of sets have no place, so that they can only
//! be told to be the same by what they hold.
//!
//! Sets are looked up by what their elements hold and never searched through: ten thousand
//! elements would mean a hundred million comparisons.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::walk::{element, objects};
use crate::path::Step;
use crate::value::Value;

/// The objects of a configuration, found by what is planned of them.
pub(super) struct Configured<'a> {
    config: &'a Value,
    /// By which attributes are configured with a plain value, the elements that configure these.
    by_configured: BTreeMap<Vec<&'a str>, Index<'a>>,
}

/// The objects of a prior state, found by what is planned of them.
pub(super) struct Former<'a> {
    prior: &'a Value,
    elements: Vec<&'a Value>,
    /// By which attributes are looked at, all elements. Filled when it is asked for.
    by_planned: RefCell<BTreeMap<Vec<String>, Index<'a>>>,
}

/// Elements by the values of some of their attributes.
type Index<'a> = BTreeMap<Vec<&'a Value>, Vec<&'a Value>>;

impl<'a> Configured<'a> {
    pub(super) fn of(config: &'a Value) -> Self {
        let mut by_configured: BTreeMap<_, Index<'_>> = BTreeMap::new();
        if matches!(config, Value::Set(_)) {
            for (_, object) in objects(config) {
                let (names, values) = plain(object, |value| !value.is_null());
                let index = by_configured.entry(names).or_default();
                index.entry(values).or_default().push(object);
            }
        }
        Self {
            config,
            by_configured,
        }
    }

    /// The configuration of a planned object. In a set it is the one whose configured attributes
    /// the planned object has; of several the one that configures most.
    pub(super) fn counterpart(&self, step: Option<&Step>, planned: &Value) -> Option<&'a Value> {
        if step != Some(&Step::SetElement) {
            return element(self.config, step);
        }
        self.by_configured
            .iter()
            .filter_map(|(names, index)| {
                let key: Vec<_> = names.iter().map(|name| planned.attribute(name)).collect();
                let same = index.get(&key)?;
                let found = same.iter().find(|config| covers(planned, config))?;
                Some((names.len(), *found))
            })
            .max_by_key(|(configured, _)| *configured)
            .map(|(_, config)| config)
    }
}

impl<'a> Former<'a> {
    pub(super) fn of(prior: &'a Value) -> Self {
        let elements = match prior {
            Value::Set(elements) => elements.iter().collect(),
            Value::Null
            | Value::Unknown
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Object(_)
            | Value::Tuple(_)
            | Value::Dynamic(..) => Vec::new(),
        };
        Self {
            prior,
            elements,
            by_planned: RefCell::default(),
        }
    }

    /// What a planned object was before. In a set it is the element that agrees with everything
    /// that is planned and known.
    pub(super) fn counterpart(&self, step: Option<&Step>, planned: &Value) -> Option<&'a Value> {
        if step != Some(&Step::SetElement) {
            return element(self.prior, step);
        }
        let (names, values) = plain(planned, |_| true);
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut by_planned = self.by_planned.borrow_mut();
        let index = by_planned
            .entry(names)
            .or_insert_with_key(|names| index_by(&self.elements, names));
        let same = index.get(&values)?;
        same.iter().copied().find(|object| agrees(object, planned))
    }
}

fn index_by<'a>(elements: &[&'a Value], names: &[String]) -> Index<'a> {
    let mut index = Index::new();
    for element in elements {
        let key = names.iter().map(|name| element.attribute(name)).collect();
        index.entry(key).or_default().push(*element);
    }
    index
}

/// The attributes that hold nothing but a plain value, which is equal or isn't.
fn plain(object: &Value, is_wanted: impl Fn(&Value) -> bool) -> (Vec<&str>, Vec<&Value>) {
    let Value::Object(attributes) = object else {
        return (Vec::new(), Vec::new());
    };
    attributes
        .iter()
        .filter(|(_, value)| is_wanted(value))
        .filter(|(_, value)| is_plain(value))
        .map(|(name, value)| (name.as_str(), value))
        .unzip()
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Unknown
        | Value::List(_)
        | Value::Set(_)
        | Value::Map(_)
        | Value::Object(_)
        | Value::Tuple(_)
        | Value::Dynamic(..) => false,
    }
}

/// Whether everything that is configured is planned so.
fn covers(planned: &Value, config: &Value) -> bool {
    match (planned, config) {
        (_, Value::Null) => true,
        (Value::Object(planned), Value::Object(config)) => config
            .iter()
            .all(|(name, config)| covers(planned.get(name).unwrap_or(&Value::Null), config)),
        (Value::List(planned), Value::List(config)) => {
            planned.len() == config.len()
                && planned
                    .iter()
                    .zip(config)
                    .all(|(planned, config)| covers(planned, config))
        }
        (Value::Map(planned), Value::Map(config)) => {
            planned.len() == config.len()
                && config.iter().all(|(key, config)| {
                    planned
                        .get(key)
                        .is_some_and(|planned| covers(planned, config))
                })
        }
        (Value::Set(planned), Value::Set(config)) => {
            planned.len() == config.len() && all_covered(planned, config)
        }
        (planned, config) => planned == config,
    }
}

/// Whether every configured element of a set has a planned one that covers it.
fn all_covered(planned: &[Value], config: &[Value]) -> bool {
    // Sets are sorted.
    let mut open = config
        .iter()
        .filter(|config| planned.binary_search(config).is_err())
        .peekable();
    if open.peek().is_none() {
        return true;
    }
    if open
        .clone()
        .any(|config| is_plain(config) && !config.is_null())
    {
        return false;
    }
    let open = Value::Set(open.cloned().collect());
    let configured = Configured::of(&open);
    let covered: BTreeSet<*const Value> = planned
        .iter()
        .filter_map(|planned| configured.counterpart(Some(&Step::SetElement), planned))
        .map(std::ptr::from_ref)
        .collect();
    covered.len() == objects(&open).len()
}

/// Whether a value is what is planned, as far as that is known.
fn agrees(value: &Value, planned: &Value) -> bool {
    match (value, planned) {
        (_, Value::Unknown) => true,
        (Value::Object(value), Value::Object(planned)) => planned
            .iter()
            .all(|(name, planned)| agrees(value.get(name).unwrap_or(&Value::Null), planned)),
        (value, planned) => value == planned || !planned.is_wholly_known(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, holds: Value) -> Value {
        Value::object([("name", name.into()), ("holds", holds)])
    }

    #[test]
    fn of_two_elements_that_are_planned_so_the_one_that_says_more_was_meant() {
        let config = Value::set([slot("a", Value::Null), slot("a", "x".into())]);
        let configured = Configured::of(&config);
        let found = |holds: &str| {
            let planned = slot("a", holds.into());
            let found = configured.counterpart(Some(&Step::SetElement), &planned);
            found.map(|config| config.attribute("holds").clone())
        };
        assert_eq!(found("x"), Some("x".into()));
        assert_eq!(found("default"), Some(Value::Null));
    }

    #[test]
    fn an_element_was_the_one_that_agrees_with_all_that_is_known_of_it() {
        let prior = Value::set([slot("a", "x".into()), slot("b", "y".into())]);
        let former = Former::of(&prior);
        let planned = slot("b", Value::Unknown);
        let found = former.counterpart(Some(&Step::SetElement), &planned);
        assert_eq!(found, Some(&slot("b", "y".into())));
        let other = slot("c", Value::Unknown);
        assert_eq!(former.counterpart(Some(&Step::SetElement), &other), None);
    }

    #[test]
    fn sets_inside_elements_are_told_apart_by_what_they_hold() {
        let tags = |tags: &[&str]| Value::set(tags.iter().map(|tag| Value::from(*tag)));
        let config = Value::set([slot("a", tags(&["1", "2"])), slot("a", tags(&["3"]))]);
        let configured = Configured::of(&config);
        let planned = slot("a", tags(&["3"]));
        let found = configured.counterpart(Some(&Step::SetElement), &planned);
        assert_eq!(found, Some(&planned));
        let inner = |name: &str, holds: Value| Value::set([slot(name, holds)]);
        let config = Value::set([slot("a", inner("i", Value::Null))]);
        let planned = slot("a", inner("i", "default".into()));
        let found = Configured::of(&config).counterpart(Some(&Step::SetElement), &planned);
        assert!(found.is_some());
    }
}
