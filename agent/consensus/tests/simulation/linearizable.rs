//! Every read and write looks as if it happened at one moment between question and answer.
//!
//! Judged by the search of Wing and Gong with the memory of Lowe ("Testing for linearizability",
//! 2017), one key at a time, which is enough since linearizability is local (Herlihy and Wing).

use std::collections::HashSet;

use super::history::{Action, Answer, Operation, Records};
use super::seeds;
use super::workload::KEYS;

/// What a key holds: a revision and a value.
type Value = Option<(u64, u32)>;

#[test]
fn reads_and_writes_are_linearizable() {
    seeds::every_history(judge);
}

fn judge(records: &Records) -> Result<(), String> {
    let last = records.last.as_ref().ok_or("the voters never agreed")?;
    for key in 0..KEYS {
        let operations = records
            .operations
            .iter()
            .filter(|operation| operation.key == key);
        let settled = operations.filter_map(|operation| {
            let mut operation = operation.clone();
            if operation.returned.is_none() {
                // Nobody was told, but the state shows what became of it.
                let Action::Write { request_id, .. } = &operation.action else {
                    return None;
                };
                let revision = last.committed_at(request_id)?;
                operation.returned = Some((u64::MAX, Answer::Written(revision)));
            }
            Some(operation)
        });
        let operations: Vec<Operation> = settled.collect();
        if !is_linearizable(&operations) {
            return Err(format!("key {key} has no order that explains its answers"));
        }
    }
    Ok(())
}

fn is_linearizable(operations: &[Operation]) -> bool {
    let mut done = vec![false; operations.len()];
    search(operations, &mut done, 0, None, &mut HashSet::new())
}

/// Tries each operation that may have come next.
fn search(
    operations: &[Operation],
    done: &mut Vec<bool>,
    count: usize,
    value: Value,
    seen: &mut HashSet<(Vec<bool>, Value)>,
) -> bool {
    if count == operations.len() {
        return true;
    }
    if !seen.insert((done.clone(), value)) {
        return false;
    }
    let open = || {
        operations
            .iter()
            .enumerate()
            .filter(|(position, _)| !done[*position])
    };
    let first_return = open()
        .filter_map(|(_, o)| o.returned)
        .map(|(at, _)| at)
        .min();
    let candidates: Vec<usize> = open()
        .filter(|(_, operation)| first_return.is_none_or(|first| operation.invoked < first))
        .map(|(position, _)| position)
        .collect();
    for position in candidates {
        let Some(next) = step(&operations[position], value) else {
            continue;
        };
        done[position] = true;
        if search(operations, done, count + 1, next, seen) {
            return true;
        }
        done[position] = false;
    }
    false
}

/// The value after an operation; none: it can't have been answered so.
fn step(operation: &Operation, value: Value) -> Option<Value> {
    let (_, answer) = operation.returned?;
    let revision = value.map_or(0, |(revision, _)| revision);
    match (&operation.action, answer) {
        (Action::Read, Answer::Value(read)) => (read == value).then_some(value),
        (
            Action::Write {
                expected,
                value: written,
                ..
            },
            Answer::Written(at),
        ) => (*expected == revision && at > revision).then_some(Some((at, *written))),
        (Action::Write { expected, .. }, Answer::Refused) => {
            (*expected != revision).then_some(value)
        }
        (Action::Read, Answer::Written(_) | Answer::Refused)
        | (Action::Write { .. }, Answer::Value(_)) => None,
    }
}

#[test]
fn a_stale_read_and_a_double_write_are_noticed() {
    let write = |invoked, returned, expected, at| Operation {
        key: 0,
        action: Action::Write {
            expected,
            value: at as u32,
            request_id: String::new(),
        },
        invoked,
        returned: Some((returned, Answer::Written(at))),
    };
    let read = |invoked, returned, value| Operation {
        key: 0,
        action: Action::Read,
        invoked,
        returned: Some((returned, Answer::Value(value))),
    };
    let first = write(1, 2, 0, 10);
    assert!(is_linearizable(&[
        first.clone(),
        read(3, 4, Some((10, 10)))
    ]));
    assert!(is_linearizable(&[write(1, 9, 0, 10), read(3, 4, None)]));
    assert!(!is_linearizable(&[first.clone(), read(3, 4, None)]));
    assert!(!is_linearizable(&[first.clone(), write(3, 4, 0, 11)]));
    let both = [
        read(2, 3, Some((10, 10))),
        read(4, 5, None),
        write(1, 9, 0, 10),
    ];
    assert!(!is_linearizable(&both));
}
