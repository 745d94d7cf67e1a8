use super::*;
use hanse_core::dr::choose::SyncSet;

fn memory() -> Memory {
    Memory {
        is_whole: true,
        ..Memory::new("files".parse().unwrap())
    }
}

/// One that leads under a lease, and was promoted.
fn leading(epoch: u64) -> Memory {
    Memory {
        epoch,
        promoted: epoch,
        may_write: true,
        may_diverge: true,
        fences_itself: true,
        ..memory()
    }
}

fn scene<'a>(duty: &'a Duty, memory: &'a Memory) -> Scene<'a> {
    Scene {
        duty,
        is_home: false,
        memory,
        process: Run::Stopped,
        ordered: Some(Ordered::Nothing { gives_back: false }),
        may_write_under: None,
        is_lost: false,
        has_writer: true,
        is_announced: false,
        is_due: false,
        is_measured: true,
        last_for: 0,
        runs_on: RunsOn::Nothing,
    }
}

#[test]
fn what_runs_on_from_an_earlier_plan_ends_before_anything_is_begun_beside_it() {
    let memory = memory();
    let with = |duty: &Duty, runs_on: RunsOn| {
        decide(&Scene {
            runs_on,
            ..scene(duty, &memory)
        })
    };
    let (runs, unknown) = (RunsOn::Process(7), RunsOn::Unknown("why".to_owned()));
    let lead = Duty::Lead {
        epoch: 1,
        fences_itself: true,
        set: SyncSet::default(),
        followers: Vec::new(),
    };
    let (detach, stop) = (Duty::Detach { barrier: 1 }, Duty::Stop { barrier: 1 });
    for duty in [&lead, &detach, &stop] {
        assert_eq!(with(duty, runs.clone()), Step::EndEarlier);
        assert_eq!(with(duty, unknown.clone()), Step::Trouble("why".to_owned()));
    }
    let follow = Duty::Follow {
        primary: "a".parse().unwrap(),
        epoch: 1,
    };
    let told = format!("{:?}", with(&follow, runs.clone()));
    assert!(told.contains("end it by `kill 7`"), "{told}");
    assert_eq!(with(&Duty::Wait, runs), Step::Rest);
}

fn running<'a>(duty: &'a Duty, memory: &'a Memory, ordered: Ordered) -> Scene<'a> {
    Scene {
        process: Run::Running,
        ordered: Some(ordered),
        may_write_under: Some(memory.epoch),
        ..scene(duty, memory)
    }
}

fn lead(epoch: u64) -> Duty {
    Duty::Lead {
        epoch,
        fences_itself: true,
        set: SyncSet::default(),
        followers: Vec::new(),
    }
}

fn follow(epoch: u64) -> Duty {
    let primary = "b".parse().unwrap();
    Duty::Follow { primary, epoch }
}

const STOP: Duty = Duty::Stop { barrier: 7 };
const DETACH: Duty = Duty::Detach { barrier: 7 };
const NOTHING: Ordered = Ordered::Nothing { gives_back: false };
const BACK: Ordered = Ordered::Nothing { gives_back: true };

#[test]
fn a_copy_is_noted_held_promoted_run_and_announced_in_this_order() {
    let duty = lead(5);
    let new = memory();
    let noted = Step::NoteLead {
        epoch: 5,
        fences_itself: true,
    };
    assert_eq!(decide(&scene(&duty, &new)), noted);
    let mut memory = Memory {
        promoted: 0,
        ..leading(5)
    };
    let hold = Ordered::Hold { epoch: 5 };
    assert_eq!(decide(&scene(&duty, &memory)), Step::Order(hold));
    let held = running(&duty, &memory, hold);
    assert_eq!(decide(&held), Step::Promote);
    let early = Scene {
        may_write_under: None,
        ..held
    };
    assert!(matches!(decide(&early), Step::Wait(_)));
    memory.promoted = 5;
    let write = Ordered::Write { epoch: 5 };
    let promoted = running(&duty, &memory, hold);
    assert_eq!(decide(&promoted), Step::Order(write));
    let unguarded = Scene {
        has_writer: false,
        ..promoted
    };
    assert_eq!(decide(&unguarded), Step::Announce);
    let writes = running(&duty, &memory, write);
    assert_eq!(decide(&writes), Step::Announce);
    let mut announced = Scene {
        is_announced: true,
        ..writes
    };
    assert_eq!(decide(&announced), Step::Rest);
    announced.is_due = true;
    assert_eq!(decide(&announced), Step::Publish);
}

#[test]
fn a_lease_that_is_anothers_ends_what_writes_and_demotes() {
    let (duty, memory) = (lead(5), leading(5));
    let mut lost = Scene {
        is_lost: true,
        is_announced: true,
        ..running(&duty, &memory, Ordered::Write { epoch: 5 })
    };
    assert_eq!(decide(&lost), Step::Withdraw);
    lost.is_announced = false;
    assert_eq!(decide(&lost), Step::Order(NOTHING));
    lost.ordered = Some(NOTHING);
    assert!(matches!(decide(&lost), Step::Wait(_)), "it runs still");
    lost.process = Run::Stopped;
    assert_eq!(decide(&lost), Step::Demote);
    let demoted = Memory {
        may_write: false,
        promoted: 0,
        ..memory.clone()
    };
    lost.memory = &demoted;
    assert!(matches!(decide(&lost), Step::Trouble(_)), "never again");
}

#[test]
fn a_lease_goes_back_after_the_last_was_published_and_the_copy_demoted() {
    let mut memory = leading(5);
    let hold = Ordered::Hold { epoch: 5 };
    let mut stops = Scene {
        is_announced: true,
        ..running(&STOP, &memory, Ordered::Write { epoch: 5 })
    };
    assert_eq!(decide(&stops), Step::Withdraw);
    stops.is_announced = false;
    assert_eq!(decide(&stops), Step::Order(hold));
    stops.ordered = Some(hold);
    stops.process = Run::Stopping;
    assert!(matches!(decide(&stops), Step::Wait(_)), "it writes still");
    stops.process = Run::Running;
    assert_eq!(decide(&stops), Step::PublishLast { barrier: 7 });
    stops.last_for = 7;
    assert_eq!(decide(&stops), Step::Demote);
    memory.may_write = false;
    let mut demoted = running(&STOP, &memory, hold);
    assert_eq!(decide(&demoted), Step::Order(BACK));
    demoted.ordered = Some(BACK);
    assert!(matches!(decide(&demoted), Step::Wait(_)));
    demoted.process = Run::Stopped;
    demoted.is_measured = false;
    assert_eq!(decide(&demoted), Step::NoteBarrier { barrier: 7 });
    memory.barrier = 7;
    let mut promised = Scene {
        is_measured: false,
        ordered: Some(BACK),
        ..scene(&STOP, &memory)
    };
    assert_eq!(decide(&promised), Step::Measure);
    promised.is_measured = true;
    assert_eq!(decide(&promised), Step::Rest);
}

#[test]
fn whoever_may_write_is_demoted_before_it_follows_or_promises_a_barrier() {
    for duty in [follow(6), DETACH] {
        let memory = leading(5);
        let mut writes = running(&duty, &memory, Ordered::Write { epoch: 5 });
        assert_eq!(decide(&writes), Step::Order(NOTHING));
        writes.ordered = Some(NOTHING);
        writes.process = Run::Stopping;
        assert!(matches!(decide(&writes), Step::Wait(_)));
        writes.process = Run::Stopped;
        assert_eq!(decide(&writes), Step::Demote);
    }
}

#[test]
fn a_steward_that_begins_anew_takes_nothing_for_stopped_that_it_did_not_order() {
    for duty in [follow(6), DETACH] {
        let memory = memory();
        let unknown = Scene {
            ordered: None,
            ..scene(&duty, &memory)
        };
        assert_eq!(decide(&unknown), Step::Order(NOTHING));
    }
    let memory = leading(5);
    let duty = lead(5);
    let mut known = Scene {
        ordered: None,
        is_announced: true,
        ..running(&duty, &memory, NOTHING)
    };
    known.ordered = None;
    // What was promoted goes on as it is.
    assert_eq!(decide(&known), Step::Order(Ordered::Write { epoch: 5 }));
}

#[test]
fn a_standby_notes_whom_it_follows_and_receives_when_it_is_time() {
    let duty = follow(6);
    let mut memory = memory();
    let primary = "b".parse().unwrap();
    let noted = Step::NoteFollows { primary, epoch: 6 };
    assert_eq!(decide(&scene(&duty, &memory)), noted);
    (memory.follows, memory.primary) = (6, Some("b".parse().unwrap()));
    let mut follows = scene(&duty, &memory);
    assert_eq!(decide(&follows), Step::Rest);
    follows.is_due = true;
    assert_eq!(decide(&follows), Step::Receive);
}

#[test]
fn a_standby_tries_to_get_the_last_once_and_a_former_primary_never() {
    let mut memory = memory();
    memory.follows = 5;
    let mut detaches = scene(&DETACH, &memory);
    assert_eq!(decide(&detaches), Step::ReceiveLast { barrier: 7 });
    detaches.last_for = 7;
    assert_eq!(decide(&detaches), Step::Cut { barrier: 7 });
    let diverged = Memory {
        may_diverge: true,
        ..memory.clone()
    };
    assert_eq!(decide(&scene(&DETACH, &diverged)), Step::Cut { barrier: 7 });
    memory.barrier = 7;
    let mut cut = scene(&DETACH, &memory);
    assert_eq!(decide(&cut), Step::Rest);
    cut.is_measured = false;
    assert_eq!(decide(&cut), Step::Measure);
}

#[test]
fn only_the_home_makes_what_was_never_there() {
    let new = Memory::new("files".parse().unwrap());
    let mut waits = scene(&Duty::Wait, &new);
    assert_eq!(decide(&waits), Step::Rest);
    waits.is_home = true;
    assert_eq!(decide(&waits), Step::Prepare);
    let duty = lead(5);
    let leads = Scene {
        is_home: true,
        ..scene(&duty, &new)
    };
    assert!(matches!(decide(&leads), Step::Trouble(_)));
}

#[test]
fn without_its_guard_nothing_is_done() {
    for duty in [Duty::Wait, lead(5), follow(6), DETACH, STOP] {
        let memory = leading(5);
        let alone = Scene {
            process: Run::Unknown("away"),
            ..scene(&duty, &memory)
        };
        assert!(matches!(decide(&alone), Step::Wait(_)));
    }
}
