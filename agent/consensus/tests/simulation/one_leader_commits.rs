//! At any time there is one leader whose writes count: once a newer one acknowledged something, an
//! older one acknowledges nothing that was asked afterwards.

use std::collections::BTreeMap;

use super::history::{Acknowledgement, Records};
use super::seeds;

#[test]
fn one_leader_commits_at_a_time() {
    seeds::every_history(judge);
}

fn judge(records: &Records) -> Result<(), String> {
    let mut by_index: BTreeMap<u64, &Acknowledgement> = BTreeMap::new();
    for acknowledgement in &records.acknowledgements {
        let index = acknowledgement.log_id.index;
        if let Some(other) = by_index.insert(index, acknowledgement)
            && other.log_id != acknowledgement.log_id
        {
            return Err(format!("two leaders committed entry {index}"));
        }
    }
    let order = |a: &&Acknowledgement| (a.log_id.term, a.log_id.leader);
    let entries: Vec<&Acknowledgement> = by_index.into_values().collect();
    if let Some(pair) = entries
        .windows(2)
        .find(|pair| order(&pair[1]) < order(&pair[0]))
    {
        return Err(format!(
            "an older leader's entry follows a newer one's: {pair:?}"
        ));
    }
    if let Some(pair) = entries
        .windows(2)
        .find(|pair| pair[1].revision < pair[0].revision)
    {
        return Err(format!(
            "entries and revisions run against each other: {pair:?}"
        ));
    }
    let mut all: Vec<&Acknowledgement> = records.acknowledgements.iter().collect();
    all.sort_by_key(|acknowledgement| acknowledgement.answered);
    for (position, newer) in all.iter().enumerate() {
        let late = all[position..]
            .iter()
            .find(|older| order(older) < order(newer) && older.asked > newer.answered);
        if let Some(older) = late {
            return Err(format!(
                "after {newer:?} an older leader acknowledged {older:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn a_second_leader_is_noticed() {
    let mut records = seeds::run(1);
    judge(&records).unwrap();
    let mut late = *records.acknowledgements.last().unwrap();
    late.log_id.term = 0;
    late.log_id.index += 1;
    late.asked += 1000;
    late.answered += 1001;
    records.acknowledgements.push(late);
    judge(&records).unwrap_err();
}
