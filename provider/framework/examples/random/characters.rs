//! Text of characters that are drawn from chosen sets, some of each.

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use terraform_plugin::{Attr, Diagnostics, Path};

use crate::source::LENGTH_MAX;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const NUMERIC: &str = "0123456789";
const SPECIAL: &str = "!@#$%&*()-_=+[]{}<>:?";

/// How a text is to be.
pub(crate) struct Rules<'a> {
    pub(crate) length: &'a Attr<u64>,
    pub(crate) sets: [Rule<'a>; 4],
    pub(crate) override_special: &'a Attr<String>,
}

/// One set of characters: whether it takes part, and how many there are of it at least.
pub(crate) struct Rule<'a> {
    pub(crate) takes_part: &'a Attr<bool>,
    pub(crate) at_least: &'a Attr<u64>,
}

impl Rules<'_> {
    /// Finds contradictions in a configuration.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        let none = |rule: &Rule<'_>| rule.takes_part.as_known() == Some(&false);
        if self.sets.iter().all(none) {
            diagnostics.error_at(
                Path::root("numeric"),
                "No characters to draw from",
                "Set one of upper, lower, numeric and special to true.",
            );
        }
        let least = self.least();
        if let Attr::Known(length) = self.length
            && *length < least
        {
            let detail = format!("The least numbers of each set add up to {least}.");
            diagnostics.error_at(Path::root("length"), "The length is too short", detail);
        }
    }

    /// Draws the text. Every set that is asked for but doesn't take part still gives its least
    /// number.
    pub(crate) fn draw(&self) -> Result<String, &'static str> {
        let length = self.length.as_known().copied().unwrap_or_default();
        if length > LENGTH_MAX || self.least() > length {
            return Err("the length is out of range");
        }
        let special = match self.override_special.as_deref() {
            Attr::Known("") | Attr::Null | Attr::Unknown => SPECIAL,
            Attr::Known(special) => special,
        };
        let sets = [UPPER, LOWER, NUMERIC, special].map(|set| set.chars().collect::<Vec<_>>());
        let mut generator = rand::rng();
        let (mut all, mut drawn): (Vec<char>, Vec<char>) = (Vec::new(), Vec::new());
        for (rule, set) in self.sets.iter().zip(&sets) {
            for _ in 0..rule.at_least.as_known().copied().unwrap_or_default() {
                drawn.extend(set.choose(&mut generator));
            }
            if rule.takes_part.as_known() == Some(&true) {
                all.extend(set);
            }
        }
        let rest = usize::try_from(length).unwrap_or_default() - drawn.len();
        if all.is_empty() && rest > 0 {
            return Err("there are no characters to draw from");
        }
        for _ in 0..rest {
            drawn.extend(all.choose(&mut generator));
        }
        drawn.shuffle(&mut generator);
        Ok(drawn.into_iter().collect())
    }

    fn least(&self) -> u64 {
        let least = self.sets.iter().filter_map(|rule| rule.at_least.as_known());
        least.fold(0, |sum, least| sum.saturating_add(*least))
    }
}
