//! An identifier that is unlikely to be drawn twice, in the forms in which people want one.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use terraform_plugin::{Attr, Diagnostic, Model};

use crate::bytes::hex;
use crate::drawn::Draw;
use crate::keepers::{self, Keepers};
use crate::source;

/// How many decimal digits fit into the words that a long number is divided by.
const WORD_DIGITS: usize = 9;

/// A random number as an identifier. 16 bytes are as good as a UUID. It is shown; where it is a
/// secret, use `random_bytes`.
#[derive(Model)]
pub(crate) struct IdModel {
    /// Values whose change draws a new identifier.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// How many bytes are drawn.
    #[attribute(required, requires_replace, validate = source::length_from_one)]
    byte_length: Attr<u64>,
    /// Text that every form but `id` begins with, taken as it is.
    #[attribute(optional, requires_replace)]
    prefix: Attr<String>,
    /// The identifier in base64 for URLs.
    #[attribute(computed, use_state_for_unknown)]
    b64_url: Attr<String>,
    /// The identifier in base64.
    #[attribute(computed, use_state_for_unknown)]
    b64_std: Attr<String>,
    /// The identifier as hexadecimal digits, two for each byte.
    #[attribute(computed, use_state_for_unknown)]
    hex: Attr<String>,
    /// The identifier as a decimal number.
    #[attribute(computed, use_state_for_unknown)]
    dec: Attr<String>,
    /// The identifier in base64 for URLs, without the prefix.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

pub(crate) struct Id;

impl Draw for Id {
    type Model = IdModel;
    const TYPE_NAME: &'static str = "random_id";

    fn draw(mut drawn: IdModel) -> Result<IdModel, Diagnostic> {
        let bytes = source::bytes(drawn.byte_length.as_known().copied().unwrap_or_default());
        let prefix = drawn.prefix.as_deref().unwrap_or_default();
        let form = |text: String| Attr::Known(format!("{prefix}{text}"));
        drawn.b64_url = form(URL_SAFE_NO_PAD.encode(&bytes));
        drawn.b64_std = form(STANDARD.encode(&bytes));
        drawn.hex = form(hex(&bytes));
        drawn.dec = form(decimal(&bytes));
        drawn.id = URL_SAFE_NO_PAD.encode(&bytes).into();
        Ok(drawn)
    }
}

/// The number that the bytes are, the first byte the highest.
fn decimal(bytes: &[u8]) -> String {
    let mut words: Vec<u64> = vec![0];
    for byte in bytes {
        let mut carry = u64::from(*byte);
        for word in &mut words {
            let value = *word * 256 + carry;
            *word = value % 1_000_000_000;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            words.push(carry);
        }
    }
    let digits: String = words
        .iter()
        .rev()
        .map(|word| format!("{word:0WORD_DIGITS$}"))
        .collect();
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}
