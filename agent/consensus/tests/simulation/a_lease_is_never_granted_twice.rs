//! At no moment do two believe that they hold the same lease, whatever their clocks, the leaders and
//! the links do. This is what keeps a database from having two writers.

use super::history::{Held, Records};
use super::seeds;

#[test]
fn a_lease_is_never_granted_twice() {
    seeds::every_history(judge);
}

fn judge(records: &Records) -> Result<(), String> {
    let mut held: Vec<&Held> = records.held.values().collect();
    held.sort_by_key(|held| held.from);
    for pair in held.windows(2) {
        let [before, after] = pair else {
            continue;
        };
        if after.epoch <= before.epoch {
            return Err(format!("epochs went back: {before:?}, then {after:?}"));
        }
        if after.from < before.until {
            return Err(format!("two held it at once: {before:?} and {after:?}"));
        }
    }
    Ok(())
}

#[test]
fn leases_change_hands_in_these_histories() {
    let held = |seed| seeds::run(seed).held.len();
    assert!((0..3).map(held).sum::<usize>() >= 6);
}

#[test]
fn a_second_holder_is_noticed() {
    let mut records = seeds::run(2);
    judge(&records).unwrap();
    let last = *records.held.values().max_by_key(|held| held.epoch).unwrap();
    let second = Held {
        epoch: last.epoch + 1,
        from: last
            .until
            .checked_sub(std::time::Duration::from_millis(1))
            .unwrap(),
        ..last
    };
    records.held.insert(second.epoch, second);
    judge(&records).unwrap_err();
}
