//! What watches a workload of which nothing is known but what its guard runs.

use hanse_guard::{Program, Watch};

use crate::plain::BeaconWatch;
use crate::postgresql::PostgresqlWatch;

/// In every folder of PostgreSQL's data.
const VERSION_FILE: &str = "PG_VERSION";

/// What tells whether the workload writes, of which the guard has this order.
#[must_use]
pub fn watch_of(program: &Program) -> Box<dyn Watch> {
    match program.folder.join(VERSION_FILE).exists() {
        true => Box::new(PostgresqlWatch::new(&program.folder)),
        false => Box::new(BeaconWatch::beside(&program.log)),
    }
}
