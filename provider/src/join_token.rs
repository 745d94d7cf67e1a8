//! `hanse_join_token`: what a machine needs to join, for as long as Terraform runs.
//!
//! A token is signed and kept by nobody, so one that is opened during a plan costs nothing, and one
//! that Terraform closes still works when the machine boots: there is nothing to give back.

use std::time::Duration;

use hanse_core::duration::Span;
use hanse_core::name::ClusterName;
use terraform_plugin::{Attr, Cx, Diagnostics, EphemeralResource, Model, async_trait};

use crate::diagnostics::of_error;
use crate::duration::duration;
use crate::lookup::{asked, wrong};
use crate::session::Session;

/// Long enough for a machine to boot.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// The ephemeral resource.
pub(crate) struct JoinToken;

/// A token with which machines join a member cluster. It is never stored: hand it on through a
/// write-only argument, to a cloud's secret store for example, from which the machine reads it when
/// it boots (`hanse join --token-command`).
#[derive(Clone, Model)]
pub(crate) struct JoinTokenModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The member cluster; it may be declared later.
    #[attribute(required)]
    pub(crate) member_cluster: Attr<String>,
    /// How long the token is good, like `1h`. By default 15 minutes.
    #[attribute(optional, validate = duration)]
    pub(crate) ttl: Attr<String>,
    /// How many machines it lets in. By default one.
    #[attribute(optional)]
    pub(crate) uses: Attr<u32>,
    /// Whether it lets voters in. By default it doesn't.
    #[attribute(optional)]
    pub(crate) voter: Attr<bool>,
    /// The token.
    #[attribute(computed, sensitive)]
    pub(crate) token: Attr<String>,
}

#[async_trait]
impl EphemeralResource for JoinToken {
    type Client = Session;
    type Model = JoinTokenModel;
    const TYPE_NAME: &'static str = "hanse_join_token";

    async fn open(
        &self,
        cx: &Cx<Session>,
        mut config: JoinTokenModel,
    ) -> Result<JoinTokenModel, Diagnostics> {
        let Some(federation) = asked(cx, &config.federation).await? else {
            return Ok(config);
        };
        let name = config.member_cluster.as_deref().unwrap_or_default();
        let cluster: ClusterName = name.parse().map_err(|error: hanse_core::name::NameError| {
            wrong("member_cluster", "Not a name", error.to_string())
        })?;
        let uses = config.uses.as_known().copied().unwrap_or(1);
        let voter = config.voter.as_known().copied().unwrap_or(false);
        let issued = federation
            .issue_token(
                &cluster,
                lifetime(&config.ttl, LIFETIME_DEFAULT),
                uses,
                voter,
            )
            .await;
        config.token = Attr::Known(issued.map_err(|error| of_error("make a join token", &error))?);
        Ok(config)
    }
}

/// How long something that was asked for is good.
pub(crate) fn lifetime(written: &Attr<String>, default: Duration) -> Duration {
    let written = written
        .as_known()
        .and_then(|text| text.parse::<Span>().ok());
    written.map_or(default, |span| span.value())
}
