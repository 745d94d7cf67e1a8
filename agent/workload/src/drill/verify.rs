//! The plan's own program, which verifies a drill's copy apart from everybody: it has no network, and other
//! servers' sockets are covered.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use hanse_core::dr::duty::DrillOrder;

use super::Findings;
use crate::cage::Cage;
use crate::call::Calling;
use crate::trouble::Trouble;
use crate::user::User;

/// Folders in which other servers' sockets usually are, and whether anybody may write there.
const SOCKETS: [(&str, bool); 2] = [("/run", false), ("/tmp", true)];

/// Has the order's program verify the copy, as a user, and notes what it says.
pub(crate) async fn verify(
    cage: &Cage,
    (order, user): (&DrillOrder, &User),
    environment: BTreeMap<String, String>,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let program = order.command.first().cloned().unwrap_or_default();
    findings.say(&format!("{program} verifies it"));
    for (folder, is_open) in SOCKETS {
        let folder = Path::new(folder);
        if folder.is_dir() && !cage.folder().starts_with(folder) {
            cage.cover(folder, is_open).await?;
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
