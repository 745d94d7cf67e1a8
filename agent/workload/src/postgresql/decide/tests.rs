//! What comes next, as a table: what is seen beside what is done.

use super::*;
use crate::postgresql::memory::Lineage;

const NOTHING: Ordered = Ordered::Nothing { gives_back: false };
const GIVES_BACK: Ordered = Ordered::Nothing { gives_back: true };
const POINTED: Pointed = Pointed {
    epoch: 7,
    timeline: 2,
    offset_bytes: 120,
    timeline_min: 2,
};
const LEADS: Ordered = Ordered::Primary { epoch: 7 };

/// A scene of its own, so that rows say only what is other in them.
struct Stage {
    duty: Duty,
    is_home: bool,
    memory: Memory,
    data: Data,
    process: Run,
    runs_outside: bool,
    ordered: Option<Ordered>,
    may_write_under: Option<u64>,
    seen: Option<Seen>,
    is_configured: bool,
    is_provided: bool,
    source: Option<Source>,
}

fn duty(name: &str) -> Duty {
    match name {
        "lead" => Duty::Lead {
            epoch: 7,
            fences_itself: true,
            set: hanse_core::dr::choose::SyncSet::default(),
            followers: Vec::new(),
        },
        "follow" => Duty::Follow {
            primary: "a1".parse().unwrap(),
            epoch: 7,
        },
        "detach" => Duty::Detach { barrier: 6 },
        "stop" => Duty::Stop { barrier: 6 },
        _ => Duty::Wait,
    }
}

fn whole(is_standby: bool) -> Data {
    Data::Whole {
        system: 1,
        is_standby,
        is_clean: true,
        timeline: 1,
    }
}

fn source() -> Source {
    Source {
        system: 1,
        timeline: 2,
        noted_timeline: 2,
        offset_bytes: 120,
        lineage: Lineage::from([(2, 7)]),
        forks: vec![(1, 100)],
    }
}

fn standby_at(offset_bytes: u64) -> Seen {
    Seen {
        writes: false,
        receives: false,
        is_settled: false,
        offset_bytes,
        timeline: 1,
        log_timeline: 0,
    }
}

/// A standby of the lease before, that runs and is well.
fn standby(name: &str) -> Stage {
    let mut memory = Memory::new("shop".parse().unwrap());
    memory.branch = 5;
    Stage {
        duty: duty(name),
        is_home: true,
        memory,
        data: whole(true),
        process: Run::Running,
        runs_outside: false,
        ordered: Some(Ordered::Standby),
        may_write_under: None,
        seen: Some(standby_at(90)),
        is_configured: true,
        is_provided: true,
        source: Some(source()),
    }
}

/// A server that wrote under the lease before and stands still.
fn stopped(name: &str) -> Stage {
    let mut stage = standby(name);
    (stage.memory.epoch, stage.memory.may_diverge) = (5, true);
    stage.data = whole(false);
    (stage.process, stage.ordered, stage.seen) = (Run::Stopped, Some(NOTHING), None);
    stage
}

fn writer(name: &str) -> Stage {
    let mut stage = stopped(name);
    stage.process = Run::Running;
    stage.ordered = Some(Ordered::Primary { epoch: 5 });
    stage.seen = Some(Seen {
        writes: true,
        ..standby_at(110)
    });
    stage
}

fn nothing(name: &str) -> Stage {
    let mut stage = stopped(name);
    stage.data = Data::None;
    stage.memory = Memory::new("shop".parse().unwrap());
    stage
}

impl Stage {
    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn next(&self) -> String {
        let step = decide(&Scene {
            duty: &self.duty,
            is_home: self.is_home,
            memory: &self.memory,
            data: self.data,
            process: self.process.clone(),
            runs_outside: self.runs_outside,
            ordered: self.ordered,
            may_write_under: self.may_write_under,
            seen: self.seen,
            is_configured: self.is_configured,
            is_provided: self.is_provided,
            source: self.source.as_ref(),
        });
        match step {
            Step::Wait(_) => "Wait".to_owned(),
            Step::Trouble(_) => "Trouble".to_owned(),
            Step::Order(GIVES_BACK) => "Stop and give back".to_owned(),
            Step::Order(Ordered::Nothing { .. }) => "Stop".to_owned(),
            Step::Order(Ordered::Standby) => "Run as standby".to_owned(),
            Step::Order(Ordered::Primary { epoch }) => format!("Run under {epoch}"),
            step => format!("{step:?}"),
        }
    }
}

fn noted(stage: &mut Stage) {
    (stage.memory.epoch, stage.memory.branch) = (7, 7);
    (stage.memory.may_diverge, stage.memory.promotes) = (true, true);
}

fn unclean(stage: &mut Stage, standby: bool) {
    stage.data = Data::Whole {
        system: 1,
        is_standby: standby,
        is_clean: false,
        timeline: 1,
    };
}

#[track_caller]
fn table(rows: Vec<(&str, Stage, &str)>) {
    for (what, stage, expected) in rows {
        assert_eq!(stage.next(), expected, "{what}");
    }
}

#[test]
fn nobody_is_primary_yet() {
    table(vec![
        ("home makes it", nothing("wait"), "Create"),
        (
            "others wait",
            nothing("wait").but(|s| s.is_home = false),
            "Rest",
        ),
        (
            "what led once is not made again",
            nothing("wait").but(|s| s.memory.epoch = 5),
            "Rest",
        ),
        ("what is there stays", stopped("wait"), "Rest"),
        (
            "no guard",
            nothing("wait").but(|s| s.process = Run::Unknown),
            "Wait",
        ),
    ]);
}

#[test]
fn a_copy_leads_only_under_its_lease_and_with_its_set() {
    let note = |is_promotion| format!("NoteLead {{ epoch: 7, is_promotion: {is_promotion} }}");
    let ordered = |stage: &mut Stage| {
        noted(stage);
        stage.ordered = Some(LEADS);
    };
    let leased = |stage: &mut Stage| {
        ordered(stage);
        stage.may_write_under = Some(7);
    };
    table(vec![
        ("no data is no empty database", nothing("lead"), "Trouble"),
        (
            "what was half rewound",
            stopped("lead").but(|s| s.memory.is_half_rewound = true),
            "Trouble",
        ),
        (
            "the set is first",
            standby("lead").but(|s| s.is_configured = false),
            "Configure",
        ),
        ("then what is promised", standby("lead"), &note(true)),
        ("a stopped primary", stopped("lead"), &note(false)),
        ("then the lease", standby("lead").but(noted), "Run under 7"),
        ("which is awaited", standby("lead").but(ordered), "Wait"),
        (
            "another lease is none",
            standby("lead")
                .but(ordered)
                .but(|s| s.may_write_under = Some(5)),
            "Wait",
        ),
        (
            "then it is promoted",
            standby("lead").but(leased),
            "Promote",
        ),
        (
            "a writer goes on under the new lease",
            writer("lead"),
            "Run under 7",
        ),
        (
            "and is on its branch once that is here",
            writer("lead").but(|s| (s.ordered, s.may_write_under) = (Some(LEADS), Some(7))),
            &note(false),
        ),
        (
            "its timeline",
            writer("lead").but(leased),
            "NoteTimeline { timeline: 1 }",
        ),
        (
            "its followers",
            writer("lead")
                .but(leased)
                .but(|s| (s.memory.promotes, s.is_provided) = (false, false)),
            "Provide",
        ),
        (
            "all is well",
            writer("lead")
                .but(leased)
                .but(|s| s.memory.promotes = false),
            "Rest",
        ),
        (
            "a lease that ends while it writes",
            writer("lead").but(leased).but(|s| s.may_write_under = None),
            "Wait",
        ),
        (
            "whoever runs outside ends first",
            writer("lead").but(|s| s.runs_outside = true),
            "StopOutside",
        ),
        (
            "it doesn't stay up",
            stopped("lead")
                .but(ordered)
                .but(|s| s.process = Run::GaveUp("no".into())),
            "Trouble",
        ),
    ]);
}

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
