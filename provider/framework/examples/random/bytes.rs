//! Bytes as a secret or a key: kept in the state, or for one run only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use terraform_plugin::{Attr, Cx, Diagnostic, Diagnostics, EphemeralResource, Model, async_trait};

use crate::drawn::Draw;
use crate::keepers::{self, Keepers};
use crate::source;

/// Random bytes that are a secret. For an identifier that may be shown, use `random_id`.
#[derive(Model)]
pub(crate) struct BytesModel {
    /// Values whose change draws new bytes.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// How many bytes, at least 1.
    #[attribute(required, requires_replace, validate = source::length_from_one)]
    length: Attr<u64>,
    /// The bytes in base64.
    #[attribute(computed, sensitive, use_state_for_unknown)]
    base64: Attr<String>,
    /// The bytes as hexadecimal digits in lower case, two for each.
    #[attribute(computed, sensitive, use_state_for_unknown)]
    hex: Attr<String>,
}

pub(crate) struct Bytes;

impl Draw for Bytes {
    type Model = BytesModel;
    const TYPE_NAME: &'static str = "random_bytes";

    fn draw(mut drawn: BytesModel) -> Result<BytesModel, Diagnostic> {
        (drawn.base64, drawn.hex) = texts(&drawn.length);
        Ok(drawn)
    }
}

/// Random bytes for one run of Terraform, stored nowhere: meant for a write-only attribute.
#[derive(Model)]
pub(crate) struct SecretModel {
    /// How many bytes, at least 1.
    #[attribute(required, validate = source::length_from_one)]
    length: Attr<u64>,
    /// The bytes in base64.
    #[attribute(computed, sensitive)]
    base64: Attr<String>,
    /// The bytes as hexadecimal digits in lower case, two for each.
    #[attribute(computed, sensitive)]
    hex: Attr<String>,
}

pub(crate) struct Secret;

#[async_trait]
impl EphemeralResource for Secret {
    type Client = ();
    type Model = SecretModel;
    const TYPE_NAME: &'static str = "random_bytes";

    async fn open(&self, _: &Cx<()>, mut secret: SecretModel) -> Result<SecretModel, Diagnostics> {
        (secret.base64, secret.hex) = texts(&secret.length);
        Ok(secret)
    }
}

/// Hexadecimal digits, two for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(length: &Attr<u64>) -> (Attr<String>, Attr<String>) {
    let bytes = source::bytes(length.as_known().copied().unwrap_or_default());
    (STANDARD.encode(&bytes).into(), hex(&bytes).into())
}
