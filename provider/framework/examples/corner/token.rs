//! A token that is opened, renewed and closed, each of which is noted in the log.

use std::time::{Duration, SystemTime};

use terraform_plugin::{Attr, Cx, Diagnostics, EphemeralResource, Model, Registry, async_trait};

use crate::store::Store;

/// A token.
#[derive(Model)]
pub(crate) struct Token {
    /// Whose it is.
    #[attribute(required)]
    name: Attr<String>,
    /// After how many milliseconds it has to be renewed.
    #[attribute(optional)]
    renew_ms: Attr<u64>,
    /// The token.
    #[attribute(computed, sensitive)]
    value: Attr<String>,
}

struct TokenOpened;

#[async_trait]
impl EphemeralResource for TokenOpened {
    type Client = Store;
    type Model = Token;
    const TYPE_NAME: &'static str = "corner_token";

    async fn open(&self, cx: &Cx<Store>, config: Token) -> Result<Token, Diagnostics> {
        let name = config.name.clone().unwrap_or_default();
        cx.client()?.note(&format!("open {name}"))?;
        cx.set_private("name", name.as_bytes());
        if let Some(milliseconds) = config.renew_ms.as_known() {
            cx.set_private("renew", milliseconds.to_le_bytes());
            cx.renew_at(SystemTime::now() + Duration::from_millis(*milliseconds));
        }
        Ok(Token {
            value: format!("token of {name}").into(),
            ..config
        })
    }

    async fn renew(&self, cx: &Cx<Store>) -> Result<(), Diagnostics> {
        let milliseconds = cx.private("renew").unwrap_or_default();
        if let Ok(milliseconds) = milliseconds.try_into() {
            let milliseconds = u64::from_le_bytes(milliseconds);
            cx.renew_at(SystemTime::now() + Duration::from_millis(milliseconds));
        }
        note(cx, "renew")
    }

    async fn close(&self, cx: &Cx<Store>) -> Result<(), Diagnostics> {
        note(cx, "close")
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.ephemeral_resource(TokenOpened);
}

fn note(cx: &Cx<Store>, what: &str) -> Result<(), Diagnostics> {
    let name = cx.private("name").unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    Ok(cx.client()?.note(&format!("{what} {name}"))?)
}
