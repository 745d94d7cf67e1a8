//! What comes next, as a table: what is seen beside what is done.

use super::*;
use crate::postgresql::memory::Lineage;

mod follow;
mod lead;
mod part;

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
    course: Course,
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
        course: Course::Open,
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
            course: self.course,
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
