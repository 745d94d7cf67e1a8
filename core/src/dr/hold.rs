//! When what a plan waits for is told to somebody (rule 8): not each wait, only what ends by nobody's doing.

use std::time::Duration;

use super::record::{Phase, PlanRecord};
use super::sight::Sight;

/// How long a run may fence before somebody is told: longer than a lease and most fences from outside take.
const FENCING_MAX: Duration = Duration::from_secs(60);

/// Whether somebody has to act, of a plan that waits for something: nothing is under way although something
/// should be, or a run has tried to fence, or to find whom it may promote, for long. All other steps of a run
/// end by themselves.
#[must_use]
pub fn calls_somebody(record: &PlanRecord, sight: &Sight) -> bool {
    match &record.run {
        None => record.primary.is_some(),
        Some(run) => match run.phase {
            Phase::Fencing => sight.step_for >= FENCING_MAX,
            Phase::Demoting | Phase::Promoting | Phase::Redirecting => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::Case;
    use super::*;

    fn calls(case: &Case) -> bool {
        calls_somebody(&case.record, &case.sight)
    }

    #[test]
    fn somebody_is_told_at_once_where_nothing_is_under_way_and_of_a_run_that_stands_still_later() {
        assert!(calls(&Case::new()));
        let fencing = |step_for_s| {
            Case::new()
                .written_on(3600)
                .change(|case| case.sight.step_for = Duration::from_secs(step_for_s))
        };
        fencing(59).waits_because("is not known");
        assert!(!calls(&fencing(59)), "it may go on by itself");
        fencing(60).waits_because("is not known");
        assert!(calls(&fencing(60)));
    }

    #[test]
    fn nobody_is_told_of_a_step_that_ends_by_itself_or_of_a_plan_that_nobody_leads_yet() {
        let mut promoting = Case::new()
            .written_on(3600)
            .change(|case| case.sight.step_for = Duration::from_secs(600));
        promoting.record.run.as_mut().unwrap().phase = Phase::Promoting;
        assert!(!calls(&promoting));
        let mut nobody = Case::new();
        nobody.record.primary = None;
        assert!(!calls(&nobody));
    }
}
