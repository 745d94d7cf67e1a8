//! A voter never shows an older state after a newer one, all voters show the same state at the
//! same revision, and no answer is older than one that was complete before the question.

use super::history::{Answer, Records};
use super::seeds;

#[test]
fn revisions_only_grow() {
    seeds::every_history(judge);
}

fn judge(records: &Records) -> Result<(), String> {
    for ((voter, life), shown) in &records.shown {
        if let Some(pair) = shown.windows(2).find(|pair| pair[1] < pair[0]) {
            return Err(format!(
                "voter {voter} in its life {life} went back: {pair:?}"
            ));
        }
    }
    // At 0 are those that know nothing yet.
    for (revision, states) in records.states.range(1..) {
        if let Some((other, _)) = states.iter().find(|(_, hash)| *hash != states[0].1) {
            let first = states[0].0;
            return Err(format!(
                "voters {first} and {other} differ at revision {revision}"
            ));
        }
    }
    // The revision of an answer: at least that much was known.
    let mut answers: Vec<(u64, u64, u64)> = Vec::new();
    for operation in &records.operations {
        if let Some((returned, Answer::Written(revision))) = operation.returned {
            answers.push((operation.invoked, returned, revision));
        }
    }
    answers.sort_by_key(|(_, returned, _)| *returned);
    for (position, (_, returned, revision)) in answers.iter().enumerate() {
        let later = answers[position..]
            .iter()
            .find(|(invoked, _, r)| invoked > returned && r < revision);
        if let Some((_, _, older)) = later {
            return Err(format!(
                "a write got revision {older} after {revision} was acknowledged"
            ));
        }
    }
    Ok(())
}

#[test]
fn a_step_back_and_a_difference_are_noticed() {
    let records = seeds::run(2);
    judge(&records).unwrap();
    let mut back = records.clone();
    back.shown.values_mut().next().unwrap().extend([9, 8]);
    judge(&back).unwrap_err();
    let mut different = records;
    different.states.entry(1).or_default().push((9, 0));
    judge(&different).unwrap_err();
}
