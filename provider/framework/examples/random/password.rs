//! Text that is a secret, kept in the state.

use terraform_plugin::{Attr, Diagnostic, Diagnostics, Model, Path, PlanCx};

use crate::characters::{Rule, Rules};
use crate::digits;
use crate::drawn::{Draw, unable};
use crate::keepers::{self, Keepers};
use crate::source;

/// The work that a hash takes to try, as an exponent of two.
const BCRYPT_COST: u32 = 10;

/// A random password. Terraform's state holds it; where a write-only attribute takes it, the
/// ephemeral resource of this name leaves no trace.
#[derive(Model)]
pub(crate) struct PasswordModel {
    /// Values whose change draws a new password.
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
    /// The password.
    #[attribute(computed, sensitive, use_state_for_unknown)]
    result: Attr<String>,
    /// A bcrypt hash of the password, or of its first 72 bytes.
    #[attribute(computed, sensitive, use_state_for_unknown)]
    bcrypt_hash: Attr<String>,
    /// Always `none`.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Password;

impl Draw for Password {
    type Model = PasswordModel;
    const TYPE_NAME: &'static str = "random_password";
    const VERSION: i64 = 3;

    fn check(config: &PasswordModel, diagnostics: &mut Diagnostics) {
        config.rules().check(diagnostics);
        digits::check(&config.number, &config.numeric, diagnostics);
    }

    fn plan(
        cx: &PlanCx<()>,
        prior: Option<&PasswordModel>,
        config: &PasswordModel,
        plan: &mut PasswordModel,
    ) {
        let digits = digits::decided(config.number, config.numeric);
        if prior.is_some_and(|prior| prior.numeric != digits) {
            cx.requires_replace(Path::root("numeric"));
        }
        plan.number = digits;
        plan.numeric = digits;
    }

    fn draw(mut drawn: PasswordModel) -> Result<PasswordModel, Diagnostic> {
        let password = drawn.rules().draw();
        let password = password.map_err(|reason| unable(Self::TYPE_NAME, reason))?;
        drawn.bcrypt_hash = hash(&password)?.into();
        drawn.result = password.into();
        drawn.id = "none".into();
        Ok(drawn)
    }
}

/// A hash by which the password can be checked and not be found.
pub(crate) fn hash(password: &str) -> Result<String, Diagnostic> {
    bcrypt::hash(password, BCRYPT_COST).map_err(|error| unable(Password::TYPE_NAME, error))
}

impl PasswordModel {
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
