//! Webhooks from end to end: order, repetitions, what is given up, and processes that are killed.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use hanse_redirect::hook::{
    Backoff, Bounds, Event, Failing, Hook, HookConfig, HookSecret, Pushed, Queue, Reason, Tally,
};
use hanse_redirect::{Clock, Http};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::web::{Reply, Request, serve, serve_tls};

const SECRET: &str = "a secret that is long enough";
const FOLDER: &str = "HANSE_TEST_HOOK_FOLDER";
const URL: &str = "HANSE_TEST_HOOK_URL";

fn event(number: u64) -> Event {
    Event {
        id: format!("event-{number}"),
        kind: "failover".to_owned(),
        at_unix_s: 1000,
        data: serde_json::json!({ "plan": "orders", "number": number }),
    }
}

fn config(url: &str) -> HookConfig {
    HookConfig {
        name: "pager".to_owned(),
        url: url.parse().unwrap(),
        secret: HookSecret::try_new(SECRET).unwrap(),
        timeout: Duration::from_secs(30),
        backoff: Backoff {
            first: Duration::from_millis(1),
            max: Duration::from_millis(20),
        },
    }
}

async fn queue(folder: &Path) -> Queue {
    let clock = Clock::new(|| 1000);
    Queue::open(folder, Bounds::default(), clock).await.unwrap()
}

fn hook(url: &str, queue: &Queue) -> Hook {
    let clock = Clock::new(|| 5000);
    Hook::new(config(url), queue.clone(), Http::system().unwrap(), clock)
}

/// A receiver that answers with these, and then takes everything. What it got comes out.
fn receiver(replies: Vec<Reply>) -> (String, UnboundedReceiver<Request>) {
    let replies = Mutex::new(VecDeque::from(replies));
    let (sender, receiver) = unbounded_channel();
    let address = serve(move |request| {
        let reply = replies.lock().unwrap().pop_front();
        let _ = sender.send(request);
        reply.unwrap_or(Reply::status(204))
    });
    (format!("http://{address}/services/secret-path"), receiver)
}

/// The ids of the next so many requests while a hook runs.
async fn ids(hook: &Hook, receiver: &mut UnboundedReceiver<Request>, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let receive = async {
        while ids.len() < count {
            let request = receiver.recv().await.unwrap();
            ids.push(request.header("hanse-event-id").to_owned());
        }
    };
    tokio::select! {
        () = hook.run() => {}
        () = receive => {}
    }
    ids
}

#[tokio::test]
async fn events_come_signed_and_in_order_and_again_until_they_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let replies = vec![
        Reply::status(500),
        Reply::Bytes(Vec::new()),
        Reply::Whole(429, "retry-after: 1\r\n", String::new()),
        Reply::status(408),
        Reply::Bytes(b"HTTP/1.1 20".to_vec()),
    ];
    let (url, mut received) = receiver(replies);
    let queue = queue(folder.path()).await;
    for number in 1..=3 {
        let pushed = queue.push(event(number)).await.unwrap();
        assert_eq!(pushed, Pushed::Kept { dropped: 0 });
    }
    assert_eq!(queue.push(event(2)).await.unwrap(), Pushed::Already);
    let hook = hook(&url, &queue);
    let mut first = None;
    tokio::select! {
        () = hook.run() => {}
        request = received.recv() => first = request,
    }
    let first = first.unwrap();
    assert_eq!(first.target, "/services/secret-path");
    assert_eq!(
        serde_json::from_str::<Event>(&first.body).unwrap(),
        event(1)
    );
    let secret = HookSecret::try_new(SECRET).unwrap();
    let signature = secret.signature(5000, first.body.as_bytes());
    assert_eq!(first.header("hanse-signature"), signature);
    let mut ids = ids(&hook, &mut received, 6).await;
    // Whether the first answer arrived before the hook was dropped is open.
    ids.dedup();
    assert_eq!(ids.first().unwrap(), "event-1");
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    while queue.tally().waiting > 0 {
        let before = queue.tally().waiting;
        tokio::select! {
            () = hook.run() => {}
            () = async { while queue.tally().waiting == before { tokio::task::yield_now().await } } => {}
        }
    }
    assert!(queue.given_up().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_good_is_recorded_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(vec![Reply::status(400), Reply::status(302)]);
    let queue = queue(folder.path()).await;
    for number in 1..=3 {
        queue.push(event(number)).await.unwrap();
    }
    let hook = hook(&url, &queue);
    let ids = ids(&hook, &mut received, 3).await;
    assert_eq!(ids, ["event-1", "event-2", "event-3"]);
    assert_eq!(queue.tally().refused, 2);
    let records = queue.given_up().await.unwrap();
    let told: Vec<_> = records.iter().map(|r| (r.id.as_str(), &r.reason)).collect();
    let expected = [
        ("event-1", &Reason::Refused(400)),
        ("event-2", &Reason::Refused(302)),
    ];
    assert_eq!(told, expected);
}

/// Runs a hook until its queue's tally is as wanted.
async fn until(hook: &Hook, queue: &Queue, is_wanted: impl Fn(Tally) -> bool) {
    tokio::select! {
        () = hook.run() => {}
        () = async { while !is_wanted(queue.tally()) { tokio::task::yield_now().await } } => {}
    }
}

#[tokio::test]
async fn how_often_since_when_and_why_an_event_is_not_taken_is_told_until_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let replies = [500, 503, 404].map(Reply::status);
    let (url, _received) = receiver(replies.into());
    let queue = queue(folder.path()).await;
    assert_eq!(queue.failing(), None);
    queue.push(event(1)).await.unwrap();
    let hook = hook(&url, &queue);
    until(&hook, &queue, |tally| tally.failed == 2).await;
    let failing = Failing {
        attempts: 2,
        since_unix_s: 1000,
        why: "it answered 503".to_owned(),
    };
    assert_eq!(queue.failing(), Some(failing));
    until(&hook, &queue, |tally| tally.refused == 1).await;
    assert_eq!(queue.failing(), None);
    assert_eq!(queue.tally().given_up_last, Some(Reason::Refused(404)));
    queue.push(event(2)).await.unwrap();
    until(&hook, &queue, |tally| tally.delivered == 1).await;
    assert_eq!(queue.tally().given_up_last, None);
}

#[tokio::test]
async fn what_waited_too_long_is_recorded_and_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let old = queue(folder.path()).await;
    old.push(event(1)).await.unwrap();
    drop(old);
    let bounds = Bounds::default();
    let clock = Clock::new(move || 1001 + bounds.age_s_max);
    let queue = Queue::open(folder.path(), bounds, clock).await.unwrap();
    queue.push(event(2)).await.unwrap();
    let (url, mut received) = receiver(Vec::new());
    assert_eq!(
        ids(&hook(&url, &queue), &mut received, 1).await,
        ["event-2"]
    );
    assert_eq!(queue.tally().expired, 1);
    assert_eq!(queue.given_up().await.unwrap()[0].reason, Reason::Expired);
}

#[tokio::test]
async fn only_a_receiver_that_is_trusted_gets_events() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, mut received) = unbounded_channel();
    let (address, authority) = serve_tls(move |request| {
        let _ = sender.send(request);
        Reply::status(204)
    });
    let url = format!("https://{address}/");
    let queue = queue(folder.path()).await;
    queue.push(event(1)).await.unwrap();
    let hook_with = |http| Hook::new(config(&url), queue.clone(), http, Clock::new(|| 5000));
    let foreign = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for http in [
        Http::system(),
        Http::with_authorities(foreign.cert.pem().as_bytes()),
    ] {
        let hook = hook_with(http.unwrap());
        let before = queue.tally().failed;
        tokio::select! {
            () = hook.run() => {}
            () = async { while queue.tally().failed == before { tokio::task::yield_now().await } } => {}
        }
        assert!(
            received.try_recv().is_err(),
            "it went to somebody who is not trusted"
        );
    }
    let hook = hook_with(Http::with_authorities(authority.as_bytes()).unwrap());
    assert_eq!(ids(&hook, &mut received, 1).await, ["event-1"]);
}

#[test]
fn neither_the_secret_nor_the_path_is_shown() {
    let shown = format!("{:?}", config("https://example.org/services/secret-path"));
    assert!(
        !shown.contains("secret-path") && !shown.contains(SECRET),
        "{shown}"
    );
}

/// Another life of one of these tests, as a process that can be killed: it is told by its folder.
fn start(part: &str, folder: &Path, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([part, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn send_until_killed(folder: &Path) {
    let queue = queue(folder).await;
    let url = std::env::var(URL).unwrap();
    hook(&url, &queue).run().await;
}

#[tokio::test]
async fn what_was_pushed_is_there_after_a_kill() {
    if let Ok(folder) = std::env::var(FOLDER) {
        // The other life.
        let queue = queue(folder.as_ref()).await;
        for number in 0.. {
            queue.push(event(number)).await.unwrap();
            println!("pushed event-{number}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(
        "hooks::what_was_pushed_is_there_after_a_kill",
        folder.path(),
        "",
    );
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut pushed = lines.map_while(Result::ok).filter_map(|line| {
        let (_, id) = line.split_once("pushed ")?;
        Some(id.to_owned())
    });
    let mut told: Vec<_> = pushed.by_ref().take(40).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    told.extend(pushed);
    assert!(told.len() >= 40, "it ended by itself: {told:?}");
    let queue = queue(folder.path()).await;
    assert_eq!(queue.tally().damaged, 0);
    let waiting = queue.tally().waiting;
    // One more may be on the disk than was told.
    assert!(
        [told.len(), told.len() + 1].contains(&waiting),
        "{waiting} of {}",
        told.len()
    );
    let (url, mut received) = receiver(Vec::new());
    let ids = ids(&hook(&url, &queue), &mut received, waiting).await;
    assert_eq!(ids[..told.len()], told);
}

#[tokio::test]
async fn what_was_not_taken_before_a_kill_is_sent_after_it() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return send_until_killed(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let filled = queue(folder.path()).await;
    for number in 100..130 {
        filled.push(event(number)).await.unwrap();
    }
    drop(filled);
    let (url, mut received) = receiver(Vec::new());
    let mut child = start(
        "hooks::what_was_not_taken_before_a_kill_is_sent_after_it",
        folder.path(),
        &url,
    );
    let mut got = Vec::new();
    while got.len() < 10 {
        got.push(
            received
                .recv()
                .await
                .unwrap()
                .header("hanse-event-id")
                .to_owned(),
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let queue = queue(folder.path()).await;
    let hook = hook(&url, &queue);
    tokio::select! {
        () = hook.run() => {}
        () = async {
            while got.last().unwrap() != "event-129" {
                let request = received.recv().await.unwrap();
                got.push(request.header("hanse-event-id").to_owned());
            }
        } => {}
    }
    // In order, each at least once, and at most the one that was on its way twice.
    let repeated = got.windows(2).filter(|pair| pair[0] == pair[1]).count();
    got.dedup();
    let all: Vec<_> = (100..130).map(|number| format!("event-{number}")).collect();
    assert_eq!(got, all);
    assert!(repeated <= 1, "{repeated} were sent again");
}
