//! Webhooks: others are told what happened, by POST, signed, at least once and in order.
//!
//! An event is on the disk before [`Queue::push`] returns, and stays there until its receiver took it
//! or it is given up, which leaves a record. A receiver that is down holds up its own hook only.
//!
//! What a receiver gets: the event as JSON; `Hanse-Event-Id`, the same each time it is sent, to tell
//! repetitions by; and `Hanse-Signature: t=<unix seconds>,v1=<hex>`, the HMAC-SHA-256 of
//! `<t>.<body>` with the hook's secret. It checks the signature, and that `t` is not long ago.

mod queue;
mod sender;
mod store;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::secret::{Secret, hex};

pub use queue::{Failing, Pushed, Queue, QueueError, Tally};
pub use sender::{Backoff, Hook, HookConfig};
pub use store::{Bounds, GivenUp, Reason};

/// What a secret has at least: shorter ones can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Tells it from all others: the same event pushed twice has the same.
    pub id: String,
    /// What sort it is of, such as `failover`.
    pub kind: String,
    /// When it happened.
    pub at_unix_s: u64,
    /// The rest.
    pub data: serde_json::Value,
}

/// What an event is signed with.
#[derive(Debug, Clone)]
pub struct HookSecret(Secret);

impl HookSecret {
    /// A secret that the receiver knows too.
    ///
    /// # Errors
    ///
    /// It is too short.
    pub fn try_new(secret: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let secret = secret.into();
        if secret.len() < SECRET_BYTES_MIN {
            let what =
                "a hook's secret has less than 16 bytes: make one with `openssl rand -hex 32`";
            return Err(ConfigError::Value { what: what.into() });
        }
        Ok(Self(Secret::new(secret)))
    }

    /// The value of `Hanse-Signature`.
    #[must_use]
    pub fn signature(&self, now_unix_s: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{now_unix_s}.").as_bytes());
        context.update(body);
        format!("t={now_unix_s},v1={}", hex(context.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figure is that of `printf '1795290005.{"a":1}' | openssl dgst -sha256 -hmac …`.
    #[test]
    fn a_signature_is_what_openssl_makes_of_the_same() {
        let secret = HookSecret::try_new("a secret that is long enough").unwrap();
        assert_eq!(
            secret.signature(1_795_290_005, br#"{"a":1}"#),
            "t=1795290005,v1=0c5941a0948c85c923f5ec48ed10d6f72f167b41c3d482483eea033fbee9fb6e"
        );
        assert!(HookSecret::try_new("short").is_err());
        assert!(!format!("{secret:?}").contains("long enough"));
    }
}
