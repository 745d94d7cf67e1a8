//! What an attribute may hold in an author's model: a value, nothing, or a value to come.
//!
//! Nothing here converts silently between the three; an author who wants a default says so.

use std::ops::Deref;

/// An attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Attr<T> {
    /// The value.
    Known(T),
    /// No value.
    #[default]
    Null,
    /// A value that becomes known at apply.
    Unknown,
}

/// A set: elements without order. Duplicates fall together when it goes to Terraform.
#[derive(Debug, Clone)]
pub struct Set<T>(Vec<T>);

impl<T> Attr<T> {
    /// The value, where it is known.
    pub fn as_known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// The value to change in place, where it is known.
    pub fn as_known_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// The value itself, where it is known.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Whether there is a known value.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the value is yet to come.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Borrows the value.
    pub fn as_ref(&self) -> Attr<&T> {
        match self {
            Self::Known(value) => Attr::Known(value),
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
        }
    }

    /// Borrows what the value derefs to, `str` for a `String`.
    pub fn as_deref(&self) -> Attr<&T::Target>
    where
        T: Deref,
    {
        self.as_ref().map(Deref::deref)
    }

    /// Changes the value, where it is known.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Attr<U> {
        match self {
            Self::Known(value) => Attr::Known(change(value)),
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
        }
    }

    /// Goes on with the value, where it is known.
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Attr<U>) -> Attr<U> {
        match self {
            Self::Known(value) => next(value),
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
        }
    }

    /// The known value, or this one where it is null or unknown.
    pub fn unwrap_or(self, otherwise: T) -> T {
        self.into_known().unwrap_or(otherwise)
    }

    /// The known value, or the type's default where it is null or unknown.
    pub fn unwrap_or_default(self) -> T
    where
        T: Default,
    {
        self.into_known().unwrap_or_default()
    }
}

impl<T> From<T> for Attr<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Attr<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

impl<T> From<Option<T>> for Attr<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}

impl<T> Set<T> {
    /// The elements, in no particular order.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Set<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<Vec<T>> for Set<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

impl<T> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: PartialEq> PartialEq for Set<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || (self.0.len() == other.0.len()
                && contains_all(&self.0, &other.0)
                && contains_all(&other.0, &self.0))
    }
}

/// Whether each of these elements is among the others. Looks first where the next one would be if
/// both had the same order, since both mostly have.
fn contains_all<T: PartialEq>(others: &[T], elements: &[T]) -> bool {
    let mut next = 0;
    elements.iter().all(|element| {
        let (before, after) = others.split_at(next.min(others.len()));
        let found = after
            .iter()
            .position(|other| other == element)
            .map(|position| before.len() + position)
            .or_else(|| before.iter().position(|other| other == element));
        next = found.map_or(next, |position| position + 1);
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_states_stay_apart() {
        assert_eq!(Attr::Known(2).map(|value| value + 1), Attr::Known(3));
        assert_eq!(Attr::<i64>::Null.map(|value| value + 1), Attr::Null);
        assert_eq!(Attr::<i64>::Unknown.unwrap_or(7), 7);
        assert_eq!(Attr::<i64>::from(None), Attr::Null);
        assert_eq!(Attr::<String>::from("a").as_deref(), Attr::Known("a"));
    }

    #[test]
    fn sets_are_equal_in_any_order() {
        assert_eq!(Set::from(vec![1, 2]), Set::from(vec![2, 1]));
        assert_ne!(Set::from(vec![1, 1]), Set::from(vec![1, 2]));
    }
}
