//! When a primary counts as dead, and when nothing is done about it.

use super::*;

#[test]
fn a_primary_that_renews_is_left_alone() {
    assert_eq!(Case::new().next(), Next::Rest);
}

#[test]
fn a_silent_guard_alone_kills_nobody_and_neither_does_a_silent_agent() {
    assert_eq!(Case::new().heard(false).next(), Next::Rest);
    let silent = Case::new().heard(false).silent(9);
    silent.waits_because("it counts as dead once that has ended");
    let dead = Case::new().silent(11);
    assert_eq!(dead.commits(), "failover fencing");
}

#[test]
fn a_primary_that_answers_is_alive_where_the_end_of_its_lease_stops_nothing() {
    let unfenced = || {
        Case::new().change(|case| {
            case.record.fences_itself = false;
            let primary = case.sight.copies.get_mut(&cluster("a"));
            primary.unwrap().fences_itself = false;
        })
    };
    unfenced().silent(60).waits_because("its agent is heard");
    let dead = unfenced().silent(60).heard(false);
    assert_eq!(dead.commits(), "failover fencing");
}

#[test]
fn a_guard_that_gave_its_lease_back_is_believed_at_once() {
    assert_eq!(Case::new().free().commits(), "failover fencing");
}

#[test]
fn nothing_happens_by_itself_where_somebody_must_say_so() {
    let dead = || Case::new().silent(60).heard(false);
    dead()
        .change(|case| case.terms.automatic_failover = false)
        .waits_because("hanse failover");
    dead()
        .change(|case| case.record.paused = true)
        .waits_because("paused");
    let trouble = "two voters can't outvote a site";
    dead()
        .change(|case| case.sight.quorum_trouble = Some(trouble.to_owned()))
        .waits_because(trouble);
}
