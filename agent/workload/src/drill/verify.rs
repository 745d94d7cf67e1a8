//! The plan's own program, which verifies a drill's copy apart from everybody: it has no network, and other
//! servers' sockets are covered.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use hanse_core::dr::duty::DrillOrder;

use super::{Cage, Findings};
use crate::call::Calling;
use crate::trouble::Trouble;
use crate::user::User;

/// Folders in which other servers' sockets usually are.
const SOCKETS: [&str; 2] = ["/run", "/tmp"];

/// Has the order's program verify the copy, as a user, and notes what it says.
pub(crate) async fn verify(
    cage: &Cage,
    (order, user): (&DrillOrder, &User),
    environment: BTreeMap<String, String>,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let program = order.command.first().cloned().unwrap_or_default();
    findings.say(&format!("{program} verifies it"));
    for folder in SOCKETS.map(Path::new) {
        if folder.is_dir() && !cage.folder().starts_with(folder) {
            cage.cover(folder).await?;
        }
    }
    let since = Instant::now();
    let calling = Calling {
        what: "have the copy verified",
        command: &order.command,
        limit: order.timeout,
        user: Some(user),
        cage: Some(cage),
        environment,
        folder: None,
        install: None,
    };
    findings.checked(&program, since, calling.call().await);
    Ok(())
}
