//! Who this agent is and where its federation is: `agent.toml` in the data folder.

use std::net::SocketAddr;

use hanse_consensus::timing::Timing;
use hanse_core::endpoint::Endpoint;
use hanse_core::name::{ClusterName, FederationName, NodeName};
use serde::{Deserialize, Serialize};

use super::file;
use super::folder::{DataError, DataFolder};
use crate::audit::AuditLimits;

/// The largest settings that are read.
const LENGTH_MAX: u64 = 64 << 10;

/// Who this agent is and where its federation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The federation.
    pub federation: FederationName,
    /// The node's member cluster.
    pub cluster: ClusterName,
    /// The node.
    pub node: NodeName,
    /// The voters.
    pub endpoints: Vec<Endpoint>,
    /// Where a voter listens; none: this node is no voter.
    pub listen: Option<SocketAddr>,
    /// How patient a voter is with the others; the same for all of them.
    #[serde(default, skip_serializing_if = "Timing::is_default")]
    pub timing: Timing,
    /// How many changes are kept while the federation is out of reach; then the oldest goes.
    #[serde(
        default = "queue_size_default",
        skip_serializing_if = "is_queue_size_default"
    )]
    pub max_queue_size: usize,
    /// How much of the audit log a voter keeps.
    #[serde(default, skip_serializing_if = "AuditLimits::is_default")]
    pub audit: AuditLimits,
}

/// So many changes are kept where the settings say nothing.
pub const QUEUE_SIZE_DEFAULT: usize = 1000;
/// More are never kept.
const QUEUE_SIZE_MAX: usize = 10_000;

fn queue_size_default() -> usize {
    QUEUE_SIZE_DEFAULT
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_queue_size_default(size: &usize) -> bool {
    *size == QUEUE_SIZE_DEFAULT
}

impl Settings {
    /// Those of a follower who chose nothing.
    #[must_use]
    pub fn new(
        federation: FederationName,
        cluster: ClusterName,
        node: NodeName,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        Self {
            federation,
            cluster,
            node,
            endpoints,
            listen: None,
            timing: Timing::default(),
            max_queue_size: QUEUE_SIZE_DEFAULT,
            audit: AuditLimits::default(),
        }
    }

    /// The same, with what the node's owner had chosen before it was enrolled anew.
    #[must_use]
    pub fn keeping_choices(self, before: Option<&Self>) -> Self {
        match before {
            None => self,
            Some(before) => Self {
                max_queue_size: before.max_queue_size,
                audit: before.audit.clone(),
                ..self
            },
        }
    }

    /// Reads the settings of a finished folder.
    pub fn read(folder: &DataFolder) -> Result<Self, DataError> {
        folder.require_finished()?;
        Self::read_file(folder)
    }

    fn read_file(folder: &DataFolder) -> Result<Self, DataError> {
        let path = folder.settings();
        let content =
            file::read_bounded(&path, LENGTH_MAX).map_err(DataError::io("read", &path))?;
        let malformed = |reason: &dyn std::fmt::Display| {
            DataError::Problem(format!("{} can't be understood: {reason}", path.display()))
        };
        let text = String::from_utf8(content).map_err(|error| malformed(&error))?;
        let settings: Self = toml::from_str(&text).map_err(|error| malformed(&error))?;
        if settings.max_queue_size > QUEUE_SIZE_MAX {
            let reason = format!("max_queue_size is at most {QUEUE_SIZE_MAX}");
            return Err(malformed(&reason));
        }
        Ok(settings)
    }

    /// Reads the settings of a folder, also where an enrolment was interrupted; none: it has none.
    pub fn read_if_present(folder: &DataFolder) -> Result<Option<Self>, DataError> {
        if !folder.settings().exists() {
            return Ok(None);
        }
        Self::read_file(folder).map(Some)
    }

    /// Writes them.
    pub fn write(&self, folder: &DataFolder) -> Result<(), DataError> {
        let path = folder.settings();
        let text = toml::to_string(self)
            .map_err(|error| DataError::Problem(format!("unable to write settings: {error}")))?;
        file::write_atomically(&path, file::MODE_PUBLIC, text.as_bytes())
            .map_err(DataError::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_written_are_read_back() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path().join("data"));
        folder.begin().unwrap();
        let settings = Settings {
            federation: "acme".parse().unwrap(),
            cluster: "home".parse().unwrap(),
            node: "home-1".parse().unwrap(),
            endpoints: vec!["127.0.0.1:7700".parse().unwrap()],
            listen: Some("127.0.0.1:7700".parse().unwrap()),
            timing: Timing::Lan,
            max_queue_size: 7,
            audit: AuditLimits {
                file_size_max: Some("1MiB".parse().unwrap()),
                files_max: Some(3),
                age_max: Some("8760h".parse().unwrap()),
            },
        };
        settings.write(&folder).unwrap();
        folder.finish().unwrap();
        assert_eq!(Settings::read(&folder).unwrap(), settings);
    }

    #[test]
    fn an_error_names_the_file() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        std::fs::write(folder.settings(), "federation = 3").unwrap();
        assert!(
            Settings::read(&folder)
                .unwrap_err()
                .to_string()
                .contains("agent.toml")
        );
    }
}
