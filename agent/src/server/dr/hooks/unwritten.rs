//! Events of a hook that are not on the disk yet: in memory, in order, and bounded.

use std::collections::VecDeque;

use hanse_redirect::hook::Event;

/// How many are kept; then the oldest give way.
const EVENTS_MAX: usize = 1000;

/// Events that are not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    events: VecDeque<Event>,
    given_up: u64,
    /// Why the first can't be written.
    trouble: Option<String>,
}

impl Unwritten {
    /// Adds an event, once.
    pub(super) fn add(&mut self, event: Event) {
        if self.events.iter().any(|known| known.id == event.id) {
            return;
        }
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
            self.given_up += 1;
        }
        self.events.push_back(event);
    }

    pub(super) fn first(&self) -> Option<&Event> {
        self.events.front()
    }

    /// The first was tried to be written.
    pub(super) fn tried(&mut self, id: &str, written: Result<(), String>) {
        match written {
            Ok(()) => {
                // It may have given way meanwhile.
                self.events.pop_front_if(|first| first.id == id);
                self.trouble = None;
            }
            Err(reason) => self.trouble = Some(reason),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn oldest_unix_s(&self) -> Option<u64> {
        self.events.front().map(|oldest| oldest.at_unix_s)
    }

    pub(super) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Why events are in memory alone, in one sentence for the operator.
    pub(super) fn trouble(&self) -> Option<String> {
        let (reason, count) = (self.trouble.as_ref()?, self.events.len());
        (count > 0).then(|| {
            format!(
                "{count} events are in the voter's memory alone, and are lost if it ends now: {reason}; \
                 make room, and they are written"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event {
            id: format!("orders/{number}"),
            kind: "dr-plan.begun".to_owned(),
            at_unix_s: number as u64,
            data: serde_json::Value::Null,
        }
    }

    #[test]
    fn what_the_disk_does_not_take_is_kept_in_order_until_it_does_and_told_of() {
        let mut unwritten = Unwritten::default();
        for number in [1, 2, 2, 3] {
            unwritten.add(event(number));
        }
        assert_eq!((unwritten.len(), unwritten.oldest_unix_s()), (3, Some(1)));
        assert_eq!(unwritten.trouble(), None);
        unwritten.tried("orders/1", Err("no space left on device".to_owned()));
        let told = unwritten.trouble().unwrap();
        assert!(
            told.starts_with("3 events are in the voter's memory alone"),
            "{told}"
        );
        assert!(told.contains("no space left on device"), "{told}");
        for number in 1..=3 {
            let id = unwritten.first().unwrap().id.clone();
            assert_eq!(id, format!("orders/{number}"));
            unwritten.tried(&id, Ok(()));
            assert_eq!(unwritten.trouble(), None);
        }
        assert_eq!((unwritten.len(), unwritten.given_up()), (0, 0));
    }

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let mut unwritten = Unwritten::default();
        for number in 0..EVENTS_MAX + 7 {
            unwritten.add(event(number));
        }
        assert_eq!((unwritten.len(), unwritten.given_up()), (EVENTS_MAX, 7));
        // Written while it gave way: the next one stays.
        unwritten.tried("orders/6", Ok(()));
        assert_eq!(unwritten.first().unwrap().id, "orders/7");
        assert_eq!(unwritten.len(), EVENTS_MAX);
    }
}
