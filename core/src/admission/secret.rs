//! Whether boxes may be kept: each for a voter that has a key to open it with.

use crate::finding::Path;
use crate::inventory::Inventory;
use crate::name::NodeName;
use crate::secret::SealedSecret;

use super::{Refusal, RefusalKind};

/// Every box is for a voter with a sealing key.
pub(super) fn check_recipients(
    inventory: &Inventory,
    boxes: &[SealedSecret],
) -> Result<(), Refusal> {
    let is_entitled = |node: &NodeName| {
        let record = inventory.nodes.get(node);
        record.is_some_and(|record| record.voter && record.sealing_key.is_some())
    };
    match boxes.iter().find(|secret| !is_entitled(&secret.recipient)) {
        None => Ok(()),
        Some(secret) => Err(stray(secret)),
    }
}

/// Every box is for the node that comes in.
pub(super) fn check_label(node: &NodeName, boxes: &[SealedSecret]) -> Result<(), Refusal> {
    match boxes.iter().find(|secret| secret.recipient != *node) {
        None => Ok(()),
        Some(secret) => Err(stray(secret)),
    }
}

fn stray(secret: &SealedSecret) -> Refusal {
    let detail = format!(
        "The secret `{}` is sealed to `{}`, which is no voter that could open it.",
        secret.name, secret.recipient
    );
    let kind = RefusalKind::Conflict;
    Refusal::one(
        kind,
        Path::root(),
        "Sealed to somebody who is not entitled",
        detail,
    )
}
