//! What a copy does to follow a primary.

use super::*;

#[test]
fn a_copy_follows_only_what_it_is_a_part_of() {
    let receives = |stage: &mut Stage| {
        stage.seen = Some(Seen {
            receives: true,
            timeline: 2,
            ..standby_at(120)
        });
        stage.memory.lineage = source().lineage;
        stage.memory.pointed = Some(POINTED);
        stage.data = Data::Whole {
            system: 1,
            is_standby: true,
            is_clean: false,
            timeline: 2,
        };
    };
    let knows = |stage: &mut Stage| stage.memory.lineage = source().lineage;
    let fits = |stage: &mut Stage| {
        knows(stage);
        stage.memory.pointed = Some(POINTED);
    };
    let point = |pointed| format!("{:?}", Step::NotePointed(pointed));
    let unasked = |stage: &mut Stage| stage.source = None;
    let anew = |stage: &mut Stage| {
        (stage.memory.branch, stage.memory.pointed) = (7, None);
        stage.memory.is_being_made = true;
    };
    table(vec![
        ("a writer ends", writer("follow"), "Stop"),
        (
            "in its time",
            writer("follow").but(|s| s.ordered = Some(NOTHING)),
            "Wait",
        ),
        (
            "the primary is asked",
            standby("follow").but(unasked),
            "Ask",
        ),
        (
            "also for what is to be copied",
            nothing("follow").but(unasked),
            "Ask",
        ),
        ("no data", nothing("follow"), "Seed"),
        (
            "somebody else's data",
            stopped("follow").but(|s| {
                s.source = Some(Source {
                    system: 2,
                    ..source()
                })
            }),
            "Trouble",
        ),
        ("an old primary", stopped("follow"), "Rewind"),
        (
            "that ended by force",
            stopped("follow").but(|s| unclean(s, false)),
            "Recover",
        ),
        (
            "a primary that has not noted its timeline",
            stopped("follow").but(|s| {
                s.source = Some(Source {
                    noted_timeline: 1,
                    ..source()
                })
            }),
            "Ask",
        ),
        (
            "an old primary on a timeline that is called the same",
            stopped("follow").but(|s| {
                s.source = Some(Source {
                    timeline: 1,
                    ..source()
                });
            }),
            "Seed",
        ),
        (
            "a standby of another promotion to the same timeline",
            standby("follow").but(|s| s.memory.lineage = Lineage::from([(1, 6)])),
            "Stop",
        ),
        (
            "a standby that has more than the fork",
            standby("follow").but(|s| s.seen = Some(standby_at(101))),
            "NoteDiverges",
        ),
        (
            "which stops then",
            standby("follow").but(|s| s.memory.may_diverge = true),
            "Stop",
        ),
        (
            "a standby that has as much",
            standby("follow")
                .but(fits)
                .but(|s| s.seen = Some(standby_at(100))),
            "Wait",
        ),
        (
            "a half rewound one",
            stopped("follow").but(|s| s.memory.is_half_rewound = true),
            "Seed",
        ),
        (
            "a fitting one knows of what it will receive",
            standby("follow").but(|s| s.is_configured = false),
            "NoteLineage",
        ),
        (
            "and that it may receive it",
            standby("follow")
                .but(knows)
                .but(|s| s.is_configured = false),
            &point(POINTED),
        ),
        (
            "also of all that it was pointed at before",
            standby("follow").but(knows).but(|s| {
                s.memory.pointed = Some(Pointed {
                    epoch: 6,
                    timeline: 1,
                    offset_bytes: 95,
                    timeline_min: 1,
                });
            }),
            &point(Pointed {
                timeline_min: 1,
                ..POINTED
            }),
        ),
        (
            "and is pointed",
            standby("follow").but(fits).but(|s| s.is_configured = false),
            "Configure",
        ),
        (
            "and run",
            standby("follow").but(fits).but(|s| s.ordered = None),
            "Run as standby",
        ),
        (
            "it has not enough",
            standby("follow").but(receives).but(|s| {
                s.seen.as_mut().unwrap().offset_bytes = 119;
            }),
            "Wait",
        ),
        (
            "it is on the old timeline",
            standby("follow").but(receives).but(|s| {
                s.seen.as_mut().unwrap().timeline = 1;
            }),
            "Wait",
        ),
        (
            "it has all that it began with",
            standby("follow").but(receives),
            "NoteBranch { epoch: 7 }",
        ),
        (
            "one that was made anew under the same lease is asked for what shows that it is whole",
            standby("follow").but(receives).but(unasked).but(anew),
            "Ask",
        ),
        (
            "and is whole once it has what its primary began with",
            standby("follow").but(receives).but(anew),
            "NoteBranch { epoch: 7 }",
        ),
        (
            "it follows, and nobody is asked",
            standby("follow")
                .but(receives)
                .but(unasked)
                .but(|s| s.memory.branch = 7),
            "Rest",
        ),
        (
            "a promotion may be under way still",
            standby("follow").but(noted).but(|s| s.ordered = None),
            "Stop",
        ),
        (
            "somebody else's server",
            writer("follow").but(|s| s.runs_outside = true),
            "Trouble",
        ),
    ]);
}

#[test]
fn a_copy_is_made_anew_once_nobody_has_the_log_any_more_that_it_needs() {
    let pointed = |stage: &mut Stage| {
        stage.memory.lineage = source().lineage;
        stage.memory.pointed = Some(POINTED);
    };
    let follows = |stage: &mut Stage| {
        (stage.memory.branch, stage.memory.pointed) = (7, None);
        stage.memory.lineage = source().lineage;
        stage.data = Data::Whole {
            system: 1,
            is_standby: true,
            is_clean: false,
            timeline: 2,
        };
    };
    let stands = |stage: &mut Stage| stage.course = Course::Stands { place: 90 };
    let cut_off = |stage: &mut Stage| stage.course = Course::CutOff;
    let receives = |stage: &mut Stage| stage.seen.as_mut().unwrap().receives = true;
    let unasked = |stage: &mut Stage| stage.source = None;
    let rests = |stage: &mut Stage| {
        (stage.process, stage.ordered, stage.seen) = (Run::Stopped, Some(NOTHING), None);
    };
    let ask = "AskLog { place: 90 }";
    table(vec![
        (
            "one that stands still has its primary asked",
            standby("follow").but(follows).but(stands),
            ask,
        ),
        (
            "also one that never had what the primary began with",
            standby("follow").but(pointed).but(stands),
            ask,
        ),
        (
            "and one that doesn't answer",
            standby("follow")
                .but(follows)
                .but(stands)
                .but(|s| s.seen = None),
            ask,
        ),
        (
            "one that receives goes on, however long it stood still",
            standby("follow").but(follows).but(stands).but(receives),
            "Rest",
        ),
        (
            "one that is cut off stops",
            standby("follow").but(follows).but(cut_off),
            "Stop",
        ),
        (
            "even while it connects",
            standby("follow").but(follows).but(cut_off).but(receives),
            "Stop",
        ),
        (
            "but not before its primary told under its lease",
            standby("follow").but(follows).but(cut_off).but(unasked),
            "Ask",
        ),
        (
            "in its time",
            standby("follow").but(follows).but(cut_off).but(|s| {
                (s.process, s.ordered) = (Run::Stopping, Some(NOTHING));
            }),
            "Wait",
        ),
        (
            "and is copied",
            standby("follow").but(follows).but(cut_off).but(rests),
            "Seed",
        ),
        (
            "one that has what the primary lacks is rewound all the same",
            stopped("follow").but(cut_off),
            "Rewind",
        ),
        (
            "somebody else's data is never copied over",
            standby("follow").but(follows).but(cut_off).but(|s| {
                s.source = Some(Source {
                    system: 2,
                    ..source()
                });
            }),
            "Trouble",
        ),
        (
            "one that is to detach tells how far it is",
            standby("detach")
                .but(cut_off)
                .but(|s| s.memory.barrier = 6)
                .but(|s| s.seen.as_mut().unwrap().is_settled = true),
            "Rest",
        ),
    ]);
}
