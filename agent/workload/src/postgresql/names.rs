//! What copies are called among PostgreSQL servers.

use std::collections::BTreeSet;

use hanse_core::dr::choose::SyncSet;
use hanse_core::name::ClusterName;

const PREFIX: &str = "hanse_";
/// PostgreSQL cuts off what is longer.
const LENGTH_MAX: usize = 63;

/// The name under which a copy receives. A member cluster's name has no underscore, so that one that
/// is too long for the prefix can go without.
pub(crate) fn application(cluster: &ClusterName) -> String {
    match PREFIX.len() + cluster.as_str().len() <= LENGTH_MAX {
        true => format!("{PREFIX}{cluster}"),
        false => cluster.to_string(),
    }
}

/// The slot that keeps the log for a copy.
pub(crate) fn slot(cluster: &ClusterName) -> String {
    application(cluster).replace('-', "_")
}

/// Whether a slot is one of ours.
pub(crate) fn is_ours(slot: &str, others: &[&ClusterName]) -> bool {
    slot.starts_with(PREFIX) || others.iter().any(|other| self::slot(other) == slot)
}

/// Who must have each commit, as PostgreSQL is told.
pub(crate) fn show_set(set: &SyncSet) -> String {
    if set.is_empty() {
        return String::new();
    }
    let members: Vec<String> = set
        .members
        .iter()
        .map(|cluster| format!("\"{}\"", application(cluster)))
        .collect();
    format!("ANY {} ({})", set.needed, members.join(", "))
}

/// Who must have each commit, as PostgreSQL tells; none: it was not we who told it so.
pub(crate) fn read_set(text: &str) -> Option<SyncSet> {
    let text = text.trim();
    if text.is_empty() {
        return Some(SyncSet::default());
    }
    let (needed, members) = text.strip_prefix("ANY ")?.split_once('(')?;
    let members: Option<BTreeSet<ClusterName>> = members
        .strip_suffix(')')?
        .split(',')
        .map(|name| {
            let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
            name.strip_prefix(PREFIX).unwrap_or(name).parse().ok()
        })
        .collect();
    Some(SyncSet {
        members: members?,
        needed: needed.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> ClusterName {
        name.parse().unwrap()
    }

    #[test]
    fn a_set_is_read_back_as_it_was_shown() {
        let long = "l".repeat(63);
        for (members, needed) in [(vec![], 0), (vec!["a-b"], 1), (vec!["b", "c", &long], 2)] {
            let set = SyncSet {
                members: members.into_iter().map(cluster).collect(),
                needed,
            };
            assert_eq!(read_set(&show_set(&set)), Some(set));
        }
    }

    #[test]
    fn what_somebody_else_configured_is_no_set_of_ours() {
        for text in ["*", "FIRST 1 (a)", "ANY 1 (a)", "ANY 1 (\"a b\")", "a, b"] {
            assert_eq!(read_set(text), None, "{text}");
        }
    }

    #[test]
    fn no_name_is_cut_off_or_shared() {
        let long = cluster(&"l".repeat(63));
        assert_eq!(application(&long).len(), 63);
        assert_eq!(slot(&cluster("a-b")), "hanse_a_b");
        assert!(is_ours("hanse_gone", &[]));
        assert!(is_ours(long.as_str(), &[&long]));
        assert!(!is_ours("theirs", &[&long]));
    }
}
