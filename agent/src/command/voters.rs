//! The voters as people and programs see them, in the status of the federation.

use hanse_client::proto;
use serde_json::{Value, json};

/// More silence than that is worth a word.
const SILENCE_SHOWN_MS: u64 = 3_000;

/// For programs.
pub(super) fn to_json(voters: &[proto::Voter]) -> Value {
    let voters = voters.iter().map(|voter| {
        json!({
            "node": voter.node,
            "endpoint": voter.endpoint,
            "votes": voter.votes,
            "leads": voter.leads,
            "lag_entries": voter.lag_entries,
            "silent_for_ms": voter.silent_for_ms,
            "pending": (!voter.pending.is_empty()).then_some(&voter.pending),
            "feature_level": voter.feature_level,
            "version": voter.program,
        })
    });
    voters.collect()
}

/// One line for each, for people: who, and what.
pub(super) fn lines(voters: &[proto::Voter]) -> impl Iterator<Item = [String; 2]> + '_ {
    voters
        .iter()
        .map(|voter| [format!("  {}", voter.node), describe(voter)])
}

/// The federation's feature level, and which voters keep it from rising.
pub(super) fn level(now: u32, voters: &[proto::Voter]) -> String {
    let highest = voters.iter().filter_map(|voter| voter.feature_level).max();
    let Some(highest) = highest.filter(|highest| *highest > now) else {
        return now.to_string();
    };
    let older = voters
        .iter()
        .filter(|voter| voter.feature_level < Some(highest));
    let older: Vec<String> = older
        .map(|voter| match voter.feature_level {
            Some(level) => format!("{} supports {level}", voter.node),
            None => format!("{} did not say yet", voter.node),
        })
        .collect();
    match older.is_empty() {
        true => format!("{now}, about to become {highest}"),
        false => format!("{now}; {highest} waits for: {}", older.join(", ")),
    }
}

pub(super) fn describe(voter: &proto::Voter) -> String {
    let role = match (voter.leads, voter.votes) {
        (true, _) => "leads",
        (false, true) => "votes",
        (false, false) => "learns, to vote soon",
    };
    let lag = match voter.lag_entries {
        Some(0) => String::new(),
        Some(lag) => format!(", {lag} entries behind"),
        None => ", not reached yet".to_owned(),
    };
    let silence = match voter.silent_for_ms {
        Some(silent_ms) if silent_ms > SILENCE_SHOWN_MS => {
            format!(", silent for {} s", silent_ms / 1000)
        }
        Some(_) | None => String::new(),
    };
    match voter.pending.as_str() {
        "called" => "called to vote, has not answered yet".to_owned(),
        "dismissed" => format!("{role}{lag}{silence}, is being removed"),
        _ => format!("{role}{lag}{silence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_the_level_from_rising_is_named() {
        let voter = |node: &str, feature_level| proto::Voter {
            node: node.to_owned(),
            feature_level,
            ..Default::default()
        };
        let mut voters = vec![voter("a", Some(2)), voter("b", Some(1)), voter("c", None)];
        assert_eq!(
            level(1, &voters),
            "1; 2 waits for: b supports 1, c did not say yet"
        );
        voters.truncate(1);
        assert_eq!(level(1, &voters), "1, about to become 2");
        assert_eq!(level(2, &voters), "2");
    }

    #[test]
    fn a_voter_is_described_by_what_it_does_and_lacks() {
        let mut voter = proto::Voter {
            leads: true,
            votes: true,
            lag_entries: Some(0),
            silent_for_ms: Some(0),
            ..Default::default()
        };
        assert_eq!(describe(&voter), "leads");
        voter.leads = false;
        voter.lag_entries = Some(7);
        voter.silent_for_ms = Some(9_500);
        assert_eq!(describe(&voter), "votes, 7 entries behind, silent for 9 s");
        voter.votes = false;
        voter.lag_entries = None;
        assert_eq!(
            describe(&voter),
            "learns, to vote soon, not reached yet, silent for 9 s"
        );
        voter.pending = "called".to_owned();
        assert_eq!(describe(&voter), "called to vote, has not answered yet");
    }
}
