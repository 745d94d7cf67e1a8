use super::*;

fn event(number: u64) -> Event {
    Event {
        id: format!("event-{number}"),
        kind: "failover".to_owned(),
        at_unix_s: 1000,
        data: serde_json::json!({ "number": number }),
    }
}

fn open(folder: &Path, bounds: Bounds) -> Store {
    Store::open(folder, bounds, 1000).unwrap().0
}

fn ids(store: &Store) -> Vec<&str> {
    let waiting = store.waiting().iter();
    waiting.map(|waiting| waiting.id.as_str()).collect()
}

#[test]
fn what_waits_is_found_again_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), Bounds::default());
    for number in 1..=12 {
        store.push(&event(number), 1000).unwrap();
    }
    let first = store.waiting()[0].place;
    store.done(first).unwrap();
    let (bytes, body) = (store.bytes(), store.body(first + 1).unwrap());
    drop(store);
    let mut store = open(folder.path(), Bounds::default());
    let expected: Vec<_> = (2..=12).map(|number| format!("event-{number}")).collect();
    assert_eq!(ids(&store), expected);
    assert_eq!(store.bytes(), bytes);
    assert_eq!(store.body(first + 1).unwrap(), body);
    assert_eq!(serde_json::from_str::<Event>(&body).unwrap(), event(2));
    store.push(&event(13), 1000).unwrap();
    assert_eq!(ids(&store).last(), Some(&"event-13"));
}

#[test]
fn the_oldest_give_way_and_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        events_max: 3,
        ..Bounds::default()
    };
    let mut store = open(folder.path(), bounds);
    let dropped: Vec<_> = (1..=5)
        .map(|n| store.push(&event(n), 1000).unwrap())
        .collect();
    assert_eq!(dropped, [0, 0, 0, 1, 1]);
    assert_eq!(ids(&store), ["event-3", "event-4", "event-5"]);
    let records = store.given_up().unwrap();
    let told: Vec<_> = records.iter().map(|r| (r.id.as_str(), &r.reason)).collect();
    assert_eq!(
        told,
        [("event-1", &Reason::Full), ("event-2", &Reason::Full)]
    );
}

#[test]
fn bytes_are_bounded_and_what_fits_never_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        bytes_max: 400,
        ..Bounds::default()
    };
    let mut store = open(folder.path(), bounds);
    for number in 1..=9 {
        store.push(&event(number), 1000).unwrap();
        assert!(store.bytes() <= 400);
    }
    assert_eq!(ids(&store).last(), Some(&"event-9"));
    let mut large = event(10);
    large.data = serde_json::json!("x".repeat(400));
    let error = store.push(&large, 1000).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(ids(&store).last(), Some(&"event-9"));
}

#[test]
fn what_a_killed_process_left_and_what_is_damaged_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), Bounds::default());
    store.push(&event(1), 1000).unwrap();
    store.push(&event(2), 1000).unwrap();
    drop(store);
    let half = folder.path().join("00000000000000000009.new");
    fs::write(&half, "{\"since").unwrap();
    fs::write(file(folder.path(), 1), "{\"since").unwrap();
    let (store, damaged) = Store::open(folder.path(), Bounds::default(), 1000).unwrap();
    assert_eq!(damaged, 1);
    assert_eq!(ids(&store), ["event-2"]);
    assert!(!half.exists());
    assert_eq!(store.given_up().unwrap()[0].reason, Reason::Damaged);
}

#[test]
fn only_one_process_uses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path(), Bounds::default());
    let said = Store::open(folder.path(), Bounds::default(), 1000).err();
    assert!(said.unwrap().to_string().contains("another process"));
}

#[test]
fn an_event_that_went_can_go_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), Bounds::default());
    store.push(&event(1), 1000).unwrap();
    let place = store.waiting()[0].place;
    store.done(place).unwrap();
    store.done(place).unwrap();
    store.give_up(place, Reason::Expired, 1000).unwrap();
    assert_eq!(store.bytes(), 0);
    assert!(store.given_up().unwrap().is_empty());
}

#[test]
fn nobody_else_reads_events() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    let mut store = open(&path, Bounds::default());
    store.push(&event(1), 1000).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&file(&path, 1)), 0o600);
}
