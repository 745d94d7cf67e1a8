//! UUIDs, of a version that is named or of none in particular: three resources with one model.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngCore as _;
use terraform_plugin::{Attr, Diagnostic, Model};

use crate::bytes::hex;
use crate::drawn::Draw;
use crate::keepers::{self, Keepers};

/// A random UUID: an identifier that is drawn once, for all that need one.
#[derive(Model)]
pub(crate) struct UuidModel {
    /// Values whose change draws a new UUID.
    #[attribute(optional, requires_replace_if = keepers::changed)]
    keepers: Keepers,
    /// The UUID as text.
    #[attribute(computed, use_state_for_unknown)]
    result: Attr<String>,
    /// The UUID as text.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
}

/// Nothing but random bytes.
pub(crate) struct Uuid;

/// Version 4: random but for the bits that say so.
pub(crate) struct Uuid4;

/// Version 7: begins with the time, so that later ones sort after earlier ones.
pub(crate) struct Uuid7;

impl Draw for Uuid {
    type Model = UuidModel;
    const TYPE_NAME: &'static str = "random_uuid";

    fn draw(planned: UuidModel) -> Result<UuidModel, Diagnostic> {
        Ok(planned.with(random()))
    }
}

impl Draw for Uuid4 {
    type Model = UuidModel;
    const TYPE_NAME: &'static str = "random_uuid4";

    fn draw(planned: UuidModel) -> Result<UuidModel, Diagnostic> {
        Ok(planned.with(marked(random(), 4)))
    }
}

impl Draw for Uuid7 {
    type Model = UuidModel;
    const TYPE_NAME: &'static str = "random_uuid7";

    fn draw(planned: UuidModel) -> Result<UuidModel, Diagnostic> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let time_ms = now.unwrap_or_default().as_millis() << 80;
        Ok(planned.with(marked(time_ms | random() >> 48, 7)))
    }
}

impl UuidModel {
    fn with(mut self, uuid: u128) -> Self {
        let digits = hex(&uuid.to_be_bytes());
        let mut rest = digits.as_str();
        let groups = [8, 4, 4, 4, 12].map(|length| {
            let (group, after) = rest.split_at(length);
            rest = after;
            group
        });
        let text = groups.join("-");
        self.id = text.as_str().into();
        self.result = text.into();
        self
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    u128::from_be_bytes(bytes)
}

/// The same bits with the version and the variant in their places.
fn marked(bits: u128, version: u128) -> u128 {
    let kept = !(0xf << 76) & !(0b11 << 62);
    bits & kept | version << 76 | 0b10 << 62
}
