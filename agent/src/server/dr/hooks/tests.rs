use std::path::Path;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::position::Position;
use hanse_core::dr::record::{Outcome, Phase, RunKind};
use serde_json::Value;

use super::*;

/// What docs/redirect-and-hooks.md shows is what is sent.
const PAGE: &str = include_str!("../../../../../docs/redirect-and-hooks.md");
const AT_UNIX_S: u64 = 1_795_290_005;

fn plan() -> PlanName {
    "orders".parse().unwrap()
}

/// The changes of a failover as they were committed, one at each revision from 4711 on.
fn run() -> Vec<Happened> {
    let begun = PlanChange::Begun {
        kind: RunKind::Failover,
        phase: Phase::Fencing,
        to: None,
        reason: "the primary in `lubeck` renews its lease no more".to_owned(),
        asked: false,
        allows_data_loss: false,
    };
    let promoted = PlanChange::Promoted {
        cluster: "hamburg".parse().unwrap(),
        position: Position::default(),
        lost_bytes: Some(0),
        fences_itself: true,
        set: SyncSet::default(),
        promised: SyncSet::default(),
        lease_ttl_ms: 10_000,
    };
    let outcome = Outcome::Moved;
    let changes = [
        begun,
        promoted,
        PlanChange::Writes,
        PlanChange::Ended { outcome },
    ];
    let happened = changes.into_iter().zip(4711..);
    happened
        .map(|(change, revision)| Happened {
            revision,
            at_unix_s: AT_UNIX_S,
            event: command::Event::Plan {
                plan: plan(),
                change,
                asked_by: None,
            },
        })
        .collect()
}

/// A hook with a queue in a folder, from which nobody sends.
async fn line(folder: &Path, events: &[HookEvent]) -> Line {
    let clock = Clock::new(|| AT_UNIX_S);
    let queue = Queue::open(folder, Bounds::default(), clock).await.unwrap();
    Line {
        declared: dr_redirect::Hook {
            url: "https://hooks.example.org/hanse".to_owned(),
            secret_version: 1,
            events: events.iter().copied().collect(),
        },
        queue: Some(queue),
        sender: Err("nobody sends".to_owned()),
        unwritten: Unwritten::default(),
    }
}

/// What a queue's folder holds, in the order in which it is sent.
fn bodies(folder: &Path) -> Vec<Value> {
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    let read = |path: PathBuf| -> Value {
        let filed: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        serde_json::from_str(filed["body"].as_str().unwrap()).unwrap()
    };
    files.into_iter().map(read).collect()
}

/// The first block of JSON of the page.
fn example() -> Value {
    let block = PAGE.split("```json\n").nth(1).unwrap();
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}

#[tokio::test]
async fn each_hook_has_the_changes_of_a_run_that_it_hears_in_its_queue_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = |hook: &str| folder.path().join(hook);
    let desk = Desk::default();
    for (hook, events) in [("board", &[HookEvent::Ended][..]), ("pager", &[][..])] {
        let line = line(&path(hook), events).await;
        let key = (plan(), hook.parse().unwrap());
        desk.lines().insert(key, line);
    }
    let happened = run();
    let federation = "baltic".parse().unwrap();
    add(
        &mut desk.lines(),
        &federation,
        happened.iter().filter_map(event),
    );
    write_down(&desk).await;

    let told = |hook: &str| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let bodies = bodies(&path(hook)).into_iter();
        bodies
            .map(|body| (text(&body["id"]), text(&body["kind"])))
            .collect()
    };
    let whole = [
        ("orders/4711", "dr-plan.begun"),
        ("orders/4712", "dr-plan.promoted"),
        ("orders/4714", "dr-plan.ended"),
    ];
    let whole = whole.map(|(id, kind)| (id.to_owned(), kind.to_owned()));
    assert_eq!(told("pager"), whole);
    assert_eq!(told("board"), whole[2..]);
    assert_eq!(bodies(&path("pager"))[0], example());

    let views = show(&desk.lines(), &plan());
    let waiting: Vec<_> = views
        .iter()
        .map(|view| (view.name.as_str(), view.waiting, view.oldest_unix_s))
        .collect();
    assert_eq!(waiting, [("board", 1, AT_UNIX_S), ("pager", 3, AT_UNIX_S)]);
    assert_eq!(views[0].trouble, "nobody sends");
}

#[tokio::test]
async fn a_new_leader_that_tells_a_run_again_doubles_nothing_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::default();
    let line = line(folder.path(), &[]).await;
    desk.lines()
        .insert((plan(), "pager".parse().unwrap()), line);
    let federation = "baltic".parse().unwrap();
    let happened = run();
    for _ in 0..2 {
        let events = happened.iter().filter_map(event);
        add(&mut desk.lines(), &federation, events);
        write_down(&desk).await;
    }
    assert_eq!(bodies(folder.path()).len(), 3);
}
