//! A number within bounds.

use rand::Rng as _;
use terraform_plugin::{Attr, Diagnostic, Diagnostics, Model, Path};

use crate::drawn::{Draw, unable};
use crate::keepers::{self, Keepers};
use crate::source;

/// A random whole number between two bounds, both included.
#[derive(Model)]
pub(crate) struct IntegerModel {
    /// Values whose change draws a new number.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// The lowest number that may be drawn.
    #[attribute(required, requires_replace)]
    min: Attr<i64>,
    /// The highest number that may be drawn.
    #[attribute(required, requires_replace)]
    max: Attr<i64>,
    /// The same seed draws the same number.
    #[attribute(optional, requires_replace)]
    seed: Attr<String>,
    /// The number.
    #[attribute(computed, use_state_for_unknown)]
    result: Attr<i64>,
    /// The number as text.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Integer;

impl Draw for Integer {
    type Model = IntegerModel;
    const TYPE_NAME: &'static str = "random_integer";

    fn check(config: &IntegerModel, diagnostics: &mut Diagnostics) {
        if let (Attr::Known(min), Attr::Known(max)) = (&config.min, &config.max)
            && min > max
        {
            let detail = format!("{min} is more than the highest number, {max}.");
            diagnostics.error_at(Path::root("min"), "No number to draw", detail);
        }
    }

    fn draw(mut drawn: IntegerModel) -> Result<IntegerModel, Diagnostic> {
        let (Attr::Known(min), Attr::Known(max)) = (&drawn.min, &drawn.max) else {
            return Err(unable(Self::TYPE_NAME, "a bound is not known"));
        };
        if min > max {
            return Err(unable(Self::TYPE_NAME, "no number is between the bounds"));
        }
        let mut generator = source::generator(drawn.seed.as_deref().into_known());
        let result: i64 = generator.random_range(*min..=*max);
        drawn.result = result.into();
        drawn.id = result.to_string().into();
        Ok(drawn)
    }
}
