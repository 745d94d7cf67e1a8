//! A list in another order.

use rand::seq::SliceRandom as _;
use terraform_plugin::{Attr, Diagnostic, Model};

use crate::drawn::Draw;
use crate::keepers::{self, Keepers};
use crate::source;

/// The texts of a list in a random order, or some of them.
#[derive(Model)]
pub(crate) struct ShuffleModel {
    /// Values whose change draws a new order.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// The same seed draws the same order, with one release of this provider.
    #[attribute(optional, requires_replace)]
    seed: Attr<String>,
    /// What is shuffled.
    #[attribute(required, requires_replace)]
    input: Attr<Vec<String>>,
    /// How many are returned, by default all. If more than there are, then some come again, each
    /// only when all others have come as often.
    #[attribute(optional, requires_replace, validate = source::length)]
    result_count: Attr<u64>,
    /// The texts in their new order.
    #[attribute(computed, use_state_for_unknown)]
    result: Attr<Vec<String>>,
    /// Always `-`.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Shuffle;

impl Draw for Shuffle {
    type Model = ShuffleModel;
    const TYPE_NAME: &'static str = "random_shuffle";

    fn draw(mut drawn: ShuffleModel) -> Result<ShuffleModel, Diagnostic> {
        let input = drawn.input.as_deref().unwrap_or_default();
        let count = match &drawn.result_count {
            Attr::Known(count) => usize::try_from(*count).unwrap_or_default(),
            Attr::Null | Attr::Unknown => input.len(),
        };
        let mut generator = source::generator(drawn.seed.as_deref().into_known());
        let mut result = Vec::new();
        while result.len() < count && !input.is_empty() {
            let mut round = input.to_vec();
            round.shuffle(&mut generator);
            result.extend(round);
        }
        result.truncate(count);
        drawn.result = result.into();
        drawn.id = "-".into();
        Ok(drawn)
    }
}
