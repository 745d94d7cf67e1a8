//! Private data: bytes by key that Terraform keeps beside a resource's state and never shows.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Diagnostic;

/// How large private data may be.
const PRIVATE_BYTES_MAX: usize = 16 << 20;

/// Bytes by key.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Private(pub(crate) BTreeMap<String, Vec<u8>>);

impl Private {
    pub(crate) fn from_wire(bytes: &[u8]) -> Result<Self, Diagnostic> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let unreadable = || {
            Diagnostic::error(
                "Unable to read private data",
                "The private data of this resource in the state isn't what this provider wrote. \
                 Restore the state from a backup, or remove the resource from the state and \
                 import it again.",
            )
        };
        if bytes.len() > PRIVATE_BYTES_MAX {
            return Err(unreadable());
        }
        let text: BTreeMap<String, String> =
            serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        text.into_iter()
            .map(|(key, value)| Ok((key, STANDARD.decode(value).map_err(|_| unreadable())?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// For messages that tell nothing from empty.
    pub(crate) fn to_optional_wire(&self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then(|| self.to_wire())
    }

    pub(crate) fn to_wire(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let text: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(key, value)| (key.clone(), STANDARD.encode(value).into()))
            .collect();
        serde_json::Value::Object(text).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_data_reads_back_and_foreign_bytes_are_refused() {
        let private = Private([("revision".to_owned(), vec![0, 255, 7])].into());
        assert!(Private::from_wire(&private.to_wire()).is_ok_and(|read| read == private));
        assert!(Private::from_wire(b"").is_ok_and(|read| read.0.is_empty()));
        assert!(Private::from_wire(br#"{"revision":"*"}"#).is_err());
        assert!(Private::from_wire(b"[").is_err());
    }
}
