//! The plan's own program, which verifies a drill's copy apart from everybody: the cage has no network, and
//! whoever calls this has covered other servers' sockets.

use std::collections::BTreeMap;
use std::time::Instant;

use hanse_core::dr::duty::DrillOrder;

use super::Findings;
use crate::cage::Cage;
use crate::call::{Calling, Runs};
use crate::user::User;

/// Has the order's program verify the copy, as a user, and notes what it says.
pub(crate) async fn verify(
    cage: &Cage,
    (order, user): (&DrillOrder, &User),
    environment: BTreeMap<String, String>,
    findings: &mut Findings,
) {
    let program = order.command.first().cloned().unwrap_or_default();
    findings.say(&format!("{program} verifies it"));
    let since = Instant::now();
    let calling = Calling {
        what: "have the copy verified",
        command: &order.command,
        limit: order.timeout,
        runs: Runs::Apart(cage, user),
        environment,
        folder: None,
        install: None,
    };
    findings.checked(&program, since, calling.call().await);
}
