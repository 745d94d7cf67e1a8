//! Text that may be shown.

use terraform_plugin::{Attr, Diagnostic, Diagnostics, Model, Path, PlanCx};

use crate::characters::{Rule, Rules};
use crate::digits;
use crate::drawn::{Draw, unable};
use crate::keepers::{self, Keepers};
use crate::source;

/// Random text of letters, digits and other characters. Where it is a secret, use
/// `random_password`.
#[derive(Model)]
pub(crate) struct StringModel {
    /// Values whose change draws a new text.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// How many characters, at least 1, and at least the sum of the least numbers of each set.
    #[attribute(required, requires_replace, validate = source::length_from_one)]
    length: Attr<u64>,
    /// Whether capital letters take part, `true` by default.
    #[attribute(optional, computed, default = true, requires_replace)]
    upper: Attr<bool>,
    /// How many capital letters there are at least, 0 by default.
    #[attribute(optional, computed, default = 0_u64, requires_replace)]
    min_upper: Attr<u64>,
    /// Whether small letters take part, `true` by default.
    #[attribute(optional, computed, default = true, requires_replace)]
    lower: Attr<bool>,
    /// How many small letters there are at least, 0 by default.
    #[attribute(optional, computed, default = 0_u64, requires_replace)]
    min_lower: Attr<u64>,
    /// The former name of `numeric`; the two are always the same.
    #[attribute(optional, computed, deprecated = "Use numeric instead.")]
    number: Attr<bool>,
    /// Whether digits take part, `true` by default. At least one set takes part.
    #[attribute(optional, computed)]
    numeric: Attr<bool>,
    /// How many digits there are at least, 0 by default.
    #[attribute(optional, computed, default = 0_u64, requires_replace)]
    min_numeric: Attr<u64>,
    /// Whether other characters take part, `true` by default: `!@#$%&*()-_=+[]{}<>:?`.
    #[attribute(optional, computed, default = true, requires_replace)]
    special: Attr<bool>,
    /// How many other characters there are at least, 0 by default.
    #[attribute(optional, computed, default = 0_u64, requires_replace)]
    min_special: Attr<u64>,
    /// Other characters to draw from instead. `special` must be `true` for them to take part.
    #[attribute(optional, requires_replace_if = digits::override_changed)]
    override_special: Attr<String>,
    /// The text.
    #[attribute(computed, use_state_for_unknown)]
    result: Attr<String>,
    /// The text.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Text;

impl Draw for Text {
    type Model = StringModel;
    const TYPE_NAME: &'static str = "random_string";
    const VERSION: i64 = 2;

    fn check(config: &StringModel, diagnostics: &mut Diagnostics) {
        config.rules().check(diagnostics);
        digits::check(&config.number, &config.numeric, diagnostics);
    }

    fn plan(
        cx: &PlanCx<()>,
        prior: Option<&StringModel>,
        config: &StringModel,
        plan: &mut StringModel,
    ) {
        let digits = digits::decided(config.number, config.numeric);
        if prior.is_some_and(|prior| prior.numeric != digits) {
            cx.requires_replace(Path::root("numeric"));
        }
        plan.number = digits;
        plan.numeric = digits;
    }

    fn draw(mut drawn: StringModel) -> Result<StringModel, Diagnostic> {
        let text = drawn.rules().draw();
        let text = text.map_err(|reason| unable(Self::TYPE_NAME, reason))?;
        drawn.id = text.as_str().into();
        drawn.result = text.into();
        Ok(drawn)
    }
}

impl StringModel {
    fn rules(&self) -> Rules<'_> {
        let set = |takes_part, at_least| Rule {
            takes_part,
            at_least,
        };
        Rules {
            length: &self.length,
            sets: [
                set(&self.upper, &self.min_upper),
                set(&self.lower, &self.min_lower),
                set(&self.numeric, &self.min_numeric),
                set(&self.special, &self.min_special),
            ],
            override_special: &self.override_special,
        }
    }
}
