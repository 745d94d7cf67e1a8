use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use super::*;
use crate::decide::RecordSet;

/// What happens to a writing.
enum Fate {
    Takes,
    Loses(bool),
    Races,
    Overtaken(u64),
    Busy,
}

/// A zone in memory, whose writings meet their fates in turn and then take place.
struct Model {
    record: DnsName,
    sight: Mutex<Sight>,
    fates: Mutex<VecDeque<Fate>>,
}

impl Model {
    fn new(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self {
            record: "app.example.org".parse().unwrap(),
            sight: Mutex::default(),
            fates: Mutex::new(fates.into_iter().collect()),
        }
    }

    fn put(&self, mark: &str, to: &str) {
        let set = |value: &str| {
            let values = vec![value.to_owned()];
            Some(RecordSet { ttl_s: 20, values })
        };
        *self.sight.lock().unwrap() = Sight {
            mark: set(mark),
            v4: set(to),
            v6: None,
        };
    }

    async fn lead(&self) -> Result<Led, RedirectError> {
        lead(self, "192.0.2.9".parse().unwrap(), 9).await
    }
}

impl Zone for Model {
    fn record(&self) -> &DnsName {
        &self.record
    }

    fn ttl_s(&self) -> u32 {
        20
    }

    async fn read(&self) -> Result<Sight, RedirectError> {
        Ok(self.sight.lock().unwrap().clone())
    }

    async fn write(&self, change: &Change) -> Result<Written, RedirectError> {
        let fate = self.fates.lock().unwrap().pop_front();
        let take = || self.put(&change.mark, &change.to.to_string());
        match fate.unwrap_or(Fate::Takes) {
            Fate::Takes => take(),
            Fate::Races => return Ok(Written::Raced("raced".to_owned())),
            Fate::Busy => return Ok(Written::Busy("busy".to_owned())),
            Fate::Overtaken(epoch) => {
                self.put(&format!("epoch={epoch}"), &format!("192.0.2.{epoch}"));
                return Ok(Written::Raced("raced".to_owned()));
            }
            Fate::Loses(takes) => {
                if takes {
                    take();
                }
                return Err(RedirectError::Cut {
                    server: "model".to_owned(),
                    source: io::ErrorKind::UnexpectedEof.into(),
                });
            }
        }
        Ok(Written::Done(Spread::Primary))
    }

    async fn probe(&self, _: &Sight) -> Result<Written, RedirectError> {
        Ok(Written::Done(Spread::Primary))
    }
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_reading() {
    let took = Model::new([Fate::Loses(true)]).lead().await.unwrap();
    assert_eq!((took.spread, took.attempts), (None, 2));
    let lost = Model::new([Fate::Loses(false)]).lead().await.unwrap();
    assert_eq!((lost.spread, lost.attempts), (Some(Spread::Primary), 2));
    let twice = Model::new([Fate::Loses(false), Fate::Loses(false)])
        .lead()
        .await;
    assert!(matches!(twice, Err(RedirectError::Cut { .. })), "{twice:?}");
}

#[tokio::test]
async fn whoever_is_overtaken_goes_on_or_gives_up_by_the_epoch() {
    let led = Model::new([Fate::Overtaken(7), Fate::Overtaken(8)])
        .lead()
        .await;
    assert_eq!(led.unwrap().attempts, 3);
    let led = Model::new([Fate::Overtaken(7), Fate::Overtaken(10)])
        .lead()
        .await;
    assert!(
        matches!(led, Err(RedirectError::Superseded { by: 10, .. })),
        "{led:?}"
    );
}

#[tokio::test]
async fn a_refusal_that_is_no_race_is_told_and_not_repeated_for_ever() {
    let led = Model::new([Fate::Races, Fate::Races]).lead().await;
    assert!(
        matches!(led, Err(RedirectError::Contended { attempts: 2, .. })),
        "{led:?}"
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    assert_eq!(Model::new([Fate::Busy]).lead().await.unwrap().attempts, 2);
}

#[tokio::test]
async fn what_was_there_before_is_told() {
    let model = Model::new([Fate::Races]);
    model.put("epoch=3", "192.0.2.3");
    assert_eq!(model.lead().await.unwrap().before, ["192.0.2.3"]);
    assert_eq!(check(&model).await.unwrap().epoch, Some(9));
}
