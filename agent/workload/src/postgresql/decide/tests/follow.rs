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
