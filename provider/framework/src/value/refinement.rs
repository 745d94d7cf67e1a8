//! What is known of a value that isn't known yet: that it isn't null, how it begins, between which
//! bounds it lies. Terraform decides with it what it can already while planning.
//!
//! Refinements lie beside a value and not in it: an unknown value is one kind of value to whoever
//! looks at it, and nobody has to care. They narrow what is unknown and never make it known.

use std::collections::BTreeMap;

use super::{Number, Type, ValueError};
use crate::Path;

/// How many places keep their refinements. Further ones are dropped, which says less and nothing
/// wrong.
const PLACES_MAX: usize = 65_536;

/// One end of a range of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The number at the end.
    pub number: Number,
    /// Whether the number itself is still in the range.
    pub inclusive: bool,
}

/// What is known of one unknown value. It is a promise: Terraform refuses an apply that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refinement {
    pub(crate) not_null: bool,
    pub(crate) prefix: Option<String>,
    pub(crate) min: Option<Bound>,
    pub(crate) max: Option<Bound>,
    pub(crate) length_min: Option<u64>,
    pub(crate) length_max: Option<u64>,
}

/// What is known of the unknown values inside one value, by their place.
///
/// Elements of sets have no place, so that nothing is kept for what is unknown in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refinements(BTreeMap<Path, Refinement>);

impl Refinement {
    /// The value is not going to be null.
    pub fn not_null() -> Self {
        Self {
            not_null: true,
            ..Self::default()
        }
    }

    /// The string is going to begin like this.
    ///
    /// The last letter may be left out, because what follows could still merge with it into
    /// another one.
    #[must_use]
    pub fn starting_with(self, prefix: &str) -> Self {
        self.starting_with_exactly(settled(prefix))
    }

    /// The string is going to begin with exactly this, and nothing that follows can merge with
    /// the last letter.
    #[must_use]
    pub fn starting_with_exactly(mut self, prefix: &str) -> Self {
        self.prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        self
    }

    /// The number is going to be this one or a larger one.
    #[must_use]
    pub fn at_least(mut self, number: impl Into<Number>) -> Self {
        self.min = Some(Bound {
            number: number.into(),
            inclusive: true,
        });
        self
    }

    /// The number is going to be this one or a smaller one.
    #[must_use]
    pub fn at_most(mut self, number: impl Into<Number>) -> Self {
        self.max = Some(Bound {
            number: number.into(),
            inclusive: true,
        });
        self
    }

    /// The number is going to be a larger one than this.
    #[must_use]
    pub fn above(mut self, number: impl Into<Number>) -> Self {
        self.min = Some(Bound {
            number: number.into(),
            inclusive: false,
        });
        self
    }

    /// The number is going to be a smaller one than this.
    #[must_use]
    pub fn below(mut self, number: impl Into<Number>) -> Self {
        self.max = Some(Bound {
            number: number.into(),
            inclusive: false,
        });
        self
    }

    /// The list, set or map is going to have this many elements or more.
    #[must_use]
    pub fn with_at_least(mut self, elements: u64) -> Self {
        self.length_min = Some(elements);
        self
    }

    /// The list, set or map is going to have this many elements or fewer.
    #[must_use]
    pub fn with_at_most(mut self, elements: u64) -> Self {
        self.length_max = Some(elements);
        self
    }

    /// Whether the value is not going to be null.
    pub fn is_not_null(&self) -> bool {
        self.not_null
    }

    /// How the string is going to begin.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Between which ends the number is going to lie.
    pub fn range(&self) -> (Option<&Bound>, Option<&Bound>) {
        (self.min.as_ref(), self.max.as_ref())
    }

    /// How many elements the list, set or map is going to have, from and to.
    pub fn length(&self) -> (Option<u64>, Option<u64>) {
        (self.length_min, self.length_max)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Whether a value of this type could be so.
    pub(crate) fn check(&self, of: &Type) -> Result<(), ValueError> {
        let is_collection = matches!(of, Type::List(_) | Type::Set(_) | Type::Map(_));
        let refuse = |what: &str| Err(ValueError::new(format!("{what} of {of}")));
        if self.prefix.is_some() && of != &Type::String {
            return refuse("a prefix");
        }
        if (self.min.is_some() || self.max.is_some()) && of != &Type::Number {
            return refuse("bounds");
        }
        if (self.length_min.is_some() || self.length_max.is_some()) && !is_collection {
            return refuse("a length");
        }
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && (min.number > max.number
                || min.number == max.number && !(min.inclusive && max.inclusive))
        {
            return Err(ValueError::new("bounds that no number is between"));
        }
        // Lengths are signed wherever they go.
        let is_length = |length: &u64| i64::try_from(*length).is_ok();
        if ![self.length_min, self.length_max]
            .iter()
            .flatten()
            .all(is_length)
        {
            return refuse("an impossible length");
        }
        match (self.length_min, self.length_max) {
            (Some(min), Some(max)) if min > max => {
                Err(ValueError::new("bounds that no length is between"))
            }
            _ => Ok(()),
        }
    }
}

impl Refinements {
    /// What is known of the unknown value at this place.
    pub fn get(&self, path: &Path) -> Option<&Refinement> {
        self.0.get(path)
    }

    /// Says something of the value at this place, as long as it is unknown. What was said before
    /// is replaced.
    pub fn insert(&mut self, path: Path, refinement: Refinement) {
        if self.0.len() < PLACES_MAX && !refinement.is_empty() {
            self.0.insert(path, refinement);
        }
    }

    /// Whether nothing is known anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places, and what is known of each.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Refinement)> {
        self.0.iter()
    }

    /// Takes over what the other says of further places.
    pub(crate) fn complete_with(&mut self, other: Self) {
        for (path, refinement) in other.0 {
            if !self.0.contains_key(&path) {
                self.insert(path, refinement);
            }
        }
    }
}

/// As much of a text as stays the same whatever follows it: a mark that follows a letter makes
/// another letter of it.
pub(super) fn settled(text: &str) -> &str {
    let ascii = text.trim_end_matches(|letter: char| !letter.is_ascii());
    let ends_well = ascii.len() == text.len() && ascii.ends_with(|last| "-_./:,; ".contains(last));
    let length = if ends_well {
        ascii.len()
    } else {
        ascii.len().saturating_sub(1)
    };
    text.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promised_prefix_keeps_only_what_no_later_letter_can_change() {
        let kept = |prefix| Refinement::default().starting_with(prefix).prefix;
        assert_eq!(kept("host-").as_deref(), Some("host-"));
        assert_eq!(kept("host").as_deref(), Some("hos"));
        assert_eq!(kept("cafe\u{301}").as_deref(), Some("caf"));
        assert_eq!(kept("e"), None);
        assert_eq!(kept(""), None);
    }

    #[test]
    fn what_no_value_of_the_type_could_be_is_refused() {
        let of = Type::list(Type::String);
        assert!(Refinement::not_null().check(&of).is_ok());
        assert!(Refinement::default().with_at_least(1).check(&of).is_ok());
        assert!(Refinement::default().at_least(1).check(&of).is_err());
        assert!(
            Refinement::default()
                .starting_with("a-")
                .check(&of)
                .is_err()
        );
        let upside_down = Refinement::default().with_at_least(2).with_at_most(1);
        assert!(upside_down.check(&of).is_err());
        let endless = Refinement::default().with_at_most(u64::MAX);
        assert!(endless.check(&of).is_err());
        let empty = Refinement::default().at_least(2).at_most(1);
        assert!(empty.check(&Type::Number).is_err());
    }
}
