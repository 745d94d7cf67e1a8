//! What is remembered of a copy ends with its plan: a later one of the same name is another.

use std::path::Path;

use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Workload;

use crate::folder;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// Forgets what was noted of a plan's copy that is no server. No data is touched.
///
/// # Errors
///
/// A note can't be removed.
pub fn forget(setup: &Setup, plan: &PlanName, workload: &Workload) -> Result<(), Trouble> {
    match workload {
        // Its data says itself whose it is.
        Workload::Postgresql(_) => return Ok(()),
        Workload::Directory(_) | Workload::Command(_) => {}
    }
    let note = format!("{plan}.json");
    let drills = Path::new("drills").join(&note);
    for name in [
        Path::new(&note),
        &drills,
        "pruned".as_ref(),
        "finished".as_ref(),
    ] {
        let path = setup.memory.join(name);
        folder::remove(&path).map_err(|error| Trouble::io("remove", &path, &error))?;
    }
    Ok(())
}
