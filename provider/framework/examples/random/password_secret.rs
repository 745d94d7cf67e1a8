//! A password for one run of Terraform.

use terraform_plugin::{Attr, Cx, Diagnostics, EphemeralResource, Model, async_trait};

use crate::characters::{Rule, Rules};
use crate::drawn::unable;
use crate::password;
use crate::source;

/// A random password for one run of Terraform, stored nowhere: meant for a write-only attribute.
#[derive(Model)]
pub(crate) struct SecretModel {
    /// How many characters, at least 1, and at least the sum of the least numbers of each set.
    #[attribute(required, validate = source::length_from_one)]
    length: Attr<u64>,
    /// Whether capital letters take part, `true` by default.
    #[attribute(optional, computed)]
    upper: Attr<bool>,
    /// How many capital letters there are at least, 0 by default.
    #[attribute(optional, computed)]
    min_upper: Attr<u64>,
    /// Whether small letters take part, `true` by default.
    #[attribute(optional, computed)]
    lower: Attr<bool>,
    /// How many small letters there are at least, 0 by default.
    #[attribute(optional, computed)]
    min_lower: Attr<u64>,
    /// Whether digits take part, `true` by default. At least one set takes part.
    #[attribute(optional, computed)]
    numeric: Attr<bool>,
    /// How many digits there are at least, 0 by default.
    #[attribute(optional, computed)]
    min_numeric: Attr<u64>,
    /// Whether other characters take part, `true` by default: `!@#$%&*()-_=+[]{}<>:?`.
    #[attribute(optional, computed)]
    special: Attr<bool>,
    /// How many other characters there are at least, 0 by default.
    #[attribute(optional, computed)]
    min_special: Attr<u64>,
    /// Other characters to draw from instead. `special` must be `true` for them to take part.
    #[attribute(optional)]
    override_special: Attr<String>,
    /// The password.
    #[attribute(computed, sensitive)]
    result: Attr<String>,
    /// A bcrypt hash of the password, or of its first 72 bytes.
    #[attribute(computed, sensitive)]
    bcrypt_hash: Attr<String>,
}

pub(crate) struct Secret;

#[async_trait]
impl EphemeralResource for Secret {
    type Client = ();
    type Model = SecretModel;
    const TYPE_NAME: &'static str = "random_password";

    async fn validate(&self, _: &Cx<()>, config: &SecretModel, diagnostics: &mut Diagnostics) {
        config.rules().check(diagnostics);
    }

    async fn open(&self, _: &Cx<()>, mut secret: SecretModel) -> Result<SecretModel, Diagnostics> {
        secret.fill_in_defaults();
        // The hash takes a while on purpose.
        let drawn = tokio::task::spawn_blocking(move || {
            let password = secret.rules().draw();
            let password = password.map_err(|reason| unable(Self::TYPE_NAME, reason))?;
            secret.bcrypt_hash = password::hash(&password)?.into();
            secret.result = password.into();
            Ok(secret)
        });
        drawn
            .await
            .map_err(|error| unable(Self::TYPE_NAME, error))?
    }
}

impl SecretModel {
    /// The protocol has no plan of ephemeral resources in which defaults could apply.
    fn fill_in_defaults(&mut self) {
        for takes_part in [
            &mut self.upper,
            &mut self.lower,
            &mut self.numeric,
            &mut self.special,
        ] {
            if takes_part.is_null() {
                *takes_part = true.into();
            }
        }
        for at_least in [
            &mut self.min_upper,
            &mut self.min_lower,
            &mut self.min_numeric,
            &mut self.min_special,
        ] {
            if at_least.is_null() {
                *at_least = 0.into();
            }
        }
    }

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
