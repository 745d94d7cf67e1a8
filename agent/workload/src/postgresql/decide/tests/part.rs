//! How a copy parts from a primary, and what it tells of that.

use super::*;

#[test]
fn a_copy_that_is_to_detach_promises_first_and_tells_last() {
    let promised = |stage: &mut Stage| stage.memory.barrier = 6;
    let settled = |stage: &mut Stage| stage.seen.as_mut().unwrap().is_settled = true;
    table(vec![
        ("a writer ends", writer("detach"), "Stop"),
        (
            "it promises",
            standby("detach"),
            "NoteBarrier { barrier: 6 }",
        ),
        ("no data", nothing("detach").but(promised), "Rest"),
        (
            "it cuts",
            standby("detach")
                .but(promised)
                .but(|s| s.is_configured = false),
            "Configure",
        ),
        (
            "it goes through the rest",
            standby("detach").but(promised),
            "Wait",
        ),
        (
            "it tells",
            standby("detach").but(promised).but(settled),
            "Rest",
        ),
        (
            "one that stands still can't tell and is run",
            standby("detach").but(promised).but(|s| {
                (s.process, s.ordered, s.seen) = (Run::Stopped, Some(NOTHING), None);
            }),
            "Run as standby",
        ),
        (
            "a promotion may be under way still",
            standby("detach")
                .but(noted)
                .but(|s| s.ordered = Some(LEADS)),
            "Stop",
        ),
        ("an old primary", stopped("detach").but(promised), "Rest"),
        (
            "that ended by force",
            stopped("detach").but(promised).but(|s| unclean(s, false)),
            "Recover",
        ),
        (
            "its order may start it",
            stopped("detach").but(|s| s.ordered = None),
            "Stop",
        ),
    ]);
}

#[test]
fn a_copy_that_is_to_stop_promises_once_it_has() {
    let asked = |stage: &mut Stage| stage.ordered = Some(GIVES_BACK);
    table(vec![
        ("it stops", writer("stop"), "Stop and give back"),
        ("in its time", writer("stop").but(asked), "Wait"),
        (
            "by force",
            stopped("stop").but(asked).but(|s| unclean(s, false)),
            "Recover",
        ),
        (
            "it promises",
            stopped("stop").but(asked),
            "NoteBarrier { barrier: 6 }",
        ),
        (
            "done",
            stopped("stop").but(asked).but(|s| s.memory.barrier = 6),
            "Rest",
        ),
        (
            "whoever runs outside",
            writer("stop").but(|s| s.runs_outside = true),
            "StopOutside",
        ),
    ]);
}

#[test]
fn a_copy_that_was_cut_off_from_a_primary_counts_as_what_its_data_tells() {
    let settled = |timeline, offset_bytes, log_timeline| {
        move |stage: &mut Stage| {
            (stage.memory.barrier, stage.memory.pointed) = (6, Some(POINTED));
            stage.seen = Some(Seen {
                is_settled: true,
                timeline,
                log_timeline,
                ..standby_at(offset_bytes)
            });
        }
    };
    let all = "NoteBranch { epoch: 7 }";
    table(vec![
        ("all", standby("detach").but(settled(2, 120, 2)), all),
        ("not all", standby("detach").but(settled(2, 119, 2)), "Rest"),
        (
            "nothing",
            standby("detach").but(settled(1, 90, 1)),
            "NoteUntouched",
        ),
        (
            "something, of which the server does not tell yet",
            standby("detach").but(settled(1, 130, 2)),
            "Rest",
        ),
        (
            "nothing of this one, and perhaps of one before",
            standby("detach").but(settled(1, 90, 1)).but(|s| {
                s.memory.pointed = Some(Pointed {
                    timeline_min: 1,
                    ..POINTED
                });
            }),
            "Rest",
        ),
    ]);
}

#[test]
fn a_copy_tells_of_the_latest_primary_that_it_may_have_received_from() {
    let mut memory = Memory::new("shop".parse().unwrap());
    memory.branch = 5;
    assert_eq!(memory.received_epoch(), 5);
    memory.pointed = Some(POINTED);
    assert_eq!(memory.received_epoch(), 7);
    memory.branch = 9;
    assert_eq!(memory.received_epoch(), 9);
}
