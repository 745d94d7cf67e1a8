//! How patient voters are with one another.

use std::fmt;
use std::str::FromStr;

use openraft::Config;
use serde::{Deserialize, Serialize};

/// How patient voters are with one another. All voters of a federation have the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// Across sites: round trips of up to 200 ms, lost packets now and then.
    #[default]
    Wan,
    /// Within one network: round trips of a few milliseconds.
    Lan,
}

/// Bounds of one kind of patience, in milliseconds. A leader counts as gone `election_max` after it
/// was last heard, which is the lease that openraft gives it, and then whoever waited for a random
/// time between the two bounds stands: across sites that is 2,250 to 3,000 ms, within one network
/// 750 to 1,000 ms.
struct Milliseconds {
    heartbeat: u64,
    election_min: u64,
    election_max: u64,
    install_snapshot: u64,
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        })
    }
}

impl FromStr for Timing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "wan" => Ok(Self::Wan),
            "lan" => Ok(Self::Lan),
            _ => Err(format!(
                "`{text}` is no timing of voters: it is `wan` or `lan`"
            )),
        }
    }
}

impl Timing {
    /// Whether it is what voters have where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As Raft is told. A heartbeat's answer must come within one interval, so the interval is
    /// longer than a round trip and an fsync.
    #[must_use]
    pub fn config(self, federation: &str) -> Config {
        let Milliseconds {
            heartbeat,
            election_min,
            election_max,
            install_snapshot,
        } = self.milliseconds();
        Config {
            cluster_name: federation.to_owned(),
            heartbeat_interval: heartbeat,
            election_timeout_min: election_min,
            election_timeout_max: election_max,
            install_snapshot_timeout: install_snapshot,
            enable_pre_vote: Some(true),
            // A leader that hears from no majority goes quiet, so that others may elect.
            quorum_loss_probe_interval: Some(2 * election_max),
            // Snapshots are taken at checkpoints, where all voters compare their states.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: 128,
            replication_lag_threshold: 2048,
            max_payload_entries: 64,
            // One proposal waits at a time; these are bounds against surprises.
            api_channel_size: Some(1024),
            notification_channel_size: Some(4096),
            // A voter that was away asks before it leads, whatever it was before.
            enable_leader_restore: Some(false),
            ..Config::default()
        }
    }

    fn milliseconds(self) -> Milliseconds {
        match self {
            Self::Wan => Milliseconds {
                heartbeat: 500,
                election_min: 750,
                election_max: 1500,
                install_snapshot: 60_000,
            },
            Self::Lan => Milliseconds {
                heartbeat: 100,
                election_min: 250,
                election_max: 500,
                install_snapshot: 30_000,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raft_accepts_both() {
        for timing in [Timing::Wan, Timing::Lan] {
            timing.config("acme").validate().unwrap();
            assert_eq!(timing.to_string().parse(), Ok(timing));
        }
    }
}
