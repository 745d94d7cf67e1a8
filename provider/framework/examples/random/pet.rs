//! A name that people can say and remember.

use rand::seq::IndexedRandom as _;
use terraform_plugin::{Attr, Diagnostic, Model};

use crate::drawn::Draw;
use crate::keepers::{self, Keepers};
use crate::source;

const ANIMALS: [&str; 32] = [
    "badger", "beaver", "bittern", "bream", "cod", "crane", "curlew", "eel", "eider", "ferret",
    "finch", "fox", "gannet", "goose", "gull", "hare", "heron", "herring", "kestrel", "lapwing",
    "lynx", "marten", "otter", "perch", "pike", "plover", "raven", "seal", "stork", "swift",
    "tern", "wren",
];

const QUALITIES: [&str; 32] = [
    "able", "bold", "brave", "bright", "brisk", "calm", "clever", "eager", "early", "even", "fair",
    "fond", "frank", "gentle", "glad", "grand", "honest", "keen", "kind", "light", "lively",
    "merry", "mild", "neat", "patient", "proud", "quick", "quiet", "steady", "sturdy", "true",
    "wise",
];

/// A random name of some words, the last of which is an animal.
#[derive(Model)]
pub(crate) struct PetModel {
    /// Values whose change draws a new name.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// How many words, 2 by default.
    #[attribute(optional, computed, default = 2_u64, requires_replace, validate = source::length)]
    length: Attr<u64>,
    /// A word that the name begins with.
    #[attribute(optional, requires_replace)]
    prefix: Attr<String>,
    /// What stands between the words, `-` by default.
    #[attribute(optional, computed, default = "-", requires_replace)]
    separator: Attr<String>,
    /// The name.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Pet;

impl Draw for Pet {
    type Model = PetModel;
    const TYPE_NAME: &'static str = "random_pet";

    fn draw(mut drawn: PetModel) -> Result<PetModel, Diagnostic> {
        let length = drawn.length.as_known().copied().unwrap_or_default();
        let mut generator = rand::rng();
        let mut words: Vec<&str> = drawn.prefix.as_deref().into_known().into_iter().collect();
        for place in (0..length).rev() {
            let from = if place == 0 { &ANIMALS } else { &QUALITIES };
            words.extend(from.choose(&mut generator));
        }
        let separator = drawn.separator.as_deref().unwrap_or_default();
        drawn.id = words.join(separator).into();
        Ok(drawn)
    }
}
