//! `hanse_credentials`: a user's certificate and key, for as long as Terraform runs.

use std::time::Duration;

use hanse_client::Role;
use hanse_core::name::NodeName;
use terraform_plugin::{Attr, Cx, Diagnostics, EphemeralResource, Model, async_trait};

use crate::diagnostics::of_error;
use crate::duration::duration;
use crate::join_token::lifetime;
use crate::lookup::{asked, wrong};
use crate::session::Session;

/// Long enough for a run.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// The ephemeral resource.
pub(crate) struct UserCredentials;

/// Credentials of a person or a program: a certificate whose key is born with it, stored nowhere.
#[derive(Clone, Model)]
pub(crate) struct UserCredentialsModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// Whose credentials they are, for the audit log.
    #[attribute(required)]
    pub(crate) name: Attr<String>,
    /// What they allow: `viewer`, `operator` or `admin`.
    #[attribute(required, validate = role)]
    pub(crate) role: Attr<String>,
    /// How long they are good, like `30m`. By default one hour.
    #[attribute(optional, validate = duration)]
    pub(crate) ttl: Attr<String>,
    /// CA, certificate and private key as one PEM text, as `HANSE_CREDENTIALS` and the provider's
    /// `credentials` take it.
    #[attribute(computed, sensitive)]
    pub(crate) credentials: Attr<String>,
}

#[async_trait]
impl EphemeralResource for UserCredentials {
    type Client = Session;
    type Model = UserCredentialsModel;
    const TYPE_NAME: &'static str = "hanse_credentials";

    async fn open(
        &self,
        cx: &Cx<Session>,
        mut config: UserCredentialsModel,
    ) -> Result<UserCredentialsModel, Diagnostics> {
        let Some(federation) = asked(cx, &config.federation).await? else {
            return Ok(config);
        };
        let name = config.name.as_deref().unwrap_or_default();
        let name: NodeName = name.parse().map_err(|error: hanse_core::name::NameError| {
            wrong("name", "Not a name", error.to_string())
        })?;
        let role: Role = config.role.as_deref().unwrap_or_default().parse().map_err(
            |error: hanse_client::spiffe::RoleError| {
                wrong("role", "No such role", error.to_string())
            },
        )?;
        let issued = federation
            .issue_credentials(&name, role, lifetime(&config.ttl, LIFETIME_DEFAULT))
            .await;
        let bundle = issued.map_err(|error| of_error("make credentials", &error))?;
        config.credentials = Attr::Known(bundle);
        Ok(config)
    }
}

fn role(word: &str) -> Result<(), String> {
    word.parse::<Role>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}
