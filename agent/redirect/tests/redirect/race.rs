//! Two writers, epochs 7 and 9, in every order of their steps.

use std::net::IpAddr;

use hanse_redirect::{Decision, RedirectError, Sight, Written, Zone, decide};

/// A writer between its steps.
struct Writer {
    epoch: u64,
    to: IpAddr,
    /// What it read and has not yet written upon.
    sight: Option<Sight>,
    is_done: bool,
}

impl Writer {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            to: address(epoch),
            sight: None,
            is_done: false,
        }
    }

    /// Reads, or writes what follows from the last reading.
    async fn step(&mut self, zone: &impl Zone) {
        let Some(sight) = self.sight.take() else {
            self.sight = Some(zone.read().await.unwrap());
            return;
        };
        match decide(zone.record(), &sight, self.to, self.epoch, zone.ttl_s()) {
            Ok(Decision::Already) | Err(RedirectError::Superseded { .. }) => self.is_done = true,
            Ok(Decision::Write(change)) => match zone.write(&change).await.unwrap() {
                Written::Done(_) => self.is_done = true,
                Written::Raced(_) | Written::Busy(_) => {}
            },
            Err(error) => panic!("epoch {}: {error}", self.epoch),
        }
    }
}

fn address(epoch: u64) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(epoch).unwrap()])
}

/// Which of the two takes each of eight steps: two attempts of each, which is all that either needs.
/// Once one is done, the other takes its steps.
pub(crate) fn orders() -> Vec<[bool; 8]> {
    let all = (0u16..256).map(|bits| std::array::from_fn(|step| bits >> step & 1 == 1));
    all.filter(|order: &[bool; 8]| order.iter().filter(|&&is_late| is_late).count() == 4)
        .collect()
}

/// Runs both in an order of steps, then to their ends.
///
/// # Panics
///
/// The record leads to epoch 7's address at any moment after epoch 9 wrote.
pub(crate) async fn run(zone: &impl Zone, order: &[bool; 8]) {
    let mut early = Writer::new(7);
    let mut late = Writer::new(9);
    let mut has_nine = false;
    let ends = [true, false].into_iter().cycle().take(40);
    for is_late in order.iter().copied().chain(ends) {
        let writer = if is_late { &mut late } else { &mut early };
        if writer.is_done {
            continue;
        }
        writer.step(zone).await;
        let sight = zone.read().await.unwrap();
        let is_nine = sight.epoch(zone.record()).unwrap() == Some(9);
        assert!(is_nine || !has_nine, "{order:?}: epoch 9 was written over");
        has_nine |= is_nine;
        assert!(
            !has_nine || sight.leads_to(address(9)),
            "{order:?}: {sight:?}"
        );
    }
    assert!(early.is_done && late.is_done && has_nine, "{order:?}");
}
