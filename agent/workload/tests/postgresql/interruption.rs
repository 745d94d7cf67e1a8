//! A steward may end at any instant: the next one goes on from there.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::laboratory::{Laboratory, any_of};
use crate::moves::{follows, leads};

/// How long after a step began it is cut off; a few within what takes long.
const DELAYS_MS: [u64; 3] = [3, 40, 300];

/// Ends a steward once at the begin of each step, once at its end, and some times within.
#[derive(Clone, Default)]
pub(crate) struct Killer {
    done: Arc<Mutex<BTreeSet<String>>>,
}

struct Sword {
    killer: Killer,
    victim: Arc<Mutex<Option<AbortHandle>>>,
}

#[derive(Default)]
struct Words(String, String);

impl Killer {
    pub(crate) fn let_live(
        &self,
        life: &mut JoinSet<()>,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let victim = Arc::new(Mutex::new(None));
        let sword = Sword {
            killer: self.clone(),
            victim: victim.clone(),
        };
        let subscriber = tracing_subscriber::registry().with(sword);
        let handle = life.spawn(run.with_subscriber(subscriber));
        *victim.lock().unwrap() = Some(handle.clone());
        handle
    }

    /// Where it killed, each place once.
    fn places(&self) -> BTreeSet<String> {
        self.done.lock().unwrap().clone()
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.1 = format!("{value:?}"),
            "step" => self.0 = format!("{value:?}"),
            _ => {}
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Sword {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let Words(step, when) = words;
        let step: String = step.chars().take_while(|c| c.is_alphanumeric()).collect();
        if step.is_empty() || ["Rest", "Wait", "Trouble"].contains(&step.as_str()) {
            return;
        }
        let is_new = |place: String| self.killer.done.lock().unwrap().insert(place);
        assert!(
            !is_new(format!("{step} {when}")),
            "killed on purpose as {step} {when}"
        );
        let delay = DELAYS_MS
            .into_iter()
            .find(|delay| when == "begins" && is_new(format!("{step} after {delay} ms")));
        if let (Some(delay), Some(victim)) = (delay, self.victim.lock().unwrap().clone()) {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                victim.abort();
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_that_is_killed_at_each_step_goes_on_where_it_was() {
    let mut lab = Laboratory::new(&["a", "b"]);
    let killers = [Killer::default(), Killer::default()];
    for (copy, killer) in lab.copies.iter_mut().zip(&killers) {
        copy.start_under(Some(killer.clone()));
    }
    lab.tell(0, Duty::Wait);
    let made = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("the database is made", made).await;
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    lab.follow(1, 0, 5);
    lab.copies[1].until("it follows", follows(5)).await;
    let revision = lab.lead(0, 5, any_of(&["b"]));
    let in_effect = |told: &CopyReport| told.revision >= revision && told.set == any_of(&["b"]);
    lab.copies[0]
        .until("each commit is at b first", in_effect)
        .await;
    lab.copies[0].sql("create table orders (id int); insert into orders values (1)");
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].sql("set synchronous_commit = local; insert into orders values (666)");
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    lab.copies[1].sql("insert into orders values (2)");
    lab.follow(0, 1, 9);
    lab.copies[0].until("it follows", follows(9)).await;
    lab.tell(1, Duty::Stop { barrier: 60 });
    let stopped = |told: &CopyReport| told.role == CopyRole::Stopped && told.barrier == 60;
    let last = lab.copies[1].until("it stopped", stopped).await.position;
    lab.tell(0, Duty::Detach { barrier: 60 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 60;
    let other = lab.copies[0].until("it has cut its connection", cut).await;
    assert!(other.position >= last, "{other:?} has all of {last:?}");
    lab.lead(0, 11, SyncSet::default());
    lab.copies[0].until("it leads", leads(11)).await;
    let rows = "select string_agg(id::text, ' ' order by id) from orders";
    assert_eq!(lab.copies[0].sql(rows), "1 2");
    let places: BTreeSet<String> = killers.iter().flat_map(Killer::places).collect();
    for step in [
        "Create",
        "Configure",
        "NoteLead",
        "Order",
        "Provide",
        "Ask",
        "Seed",
        "NoteBranch",
        "NoteBarrier",
        "Promote",
        "NoteTimeline",
        "Rewind",
        "Recover",
    ] {
        assert!(
            places.contains(&format!("{step} begins")),
            "{step} was not cut off"
        );
    }
}
