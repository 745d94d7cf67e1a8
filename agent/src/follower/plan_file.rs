//! The last plan, on the disk: what the node goes by when it starts and no voter answers.
//!
//! It holds the node's pre-shared keys, so it is the owner's alone.

use std::io;

use hanse_client::proto;

use crate::data::file::{self, MODE_SECRET};
use crate::data::kept::{self, HEADER_LENGTH};
use crate::data::{DataError, DataFolder};

/// Begins the file, with the version of its format.
const MAGIC: &[u8; 8] = b"hanseP\x00\x01";
/// The largest plan that is read: the largest that a voter sends.
const LENGTH_MAX: u64 = hanse_client::MESSAGE_LIMIT_BYTES as u64 + HEADER_LENGTH as u64;

/// Keeps a plan.
pub fn write(folder: &DataFolder, plan: &proto::NodePlan) -> Result<(), DataError> {
    let path = folder.plan();
    file::write_atomically(&path, MODE_SECRET, &encode(plan)).map_err(DataError::io("write", &path))
}

/// The plan that was kept last; none: there was none yet.
pub fn read(folder: &DataFolder) -> Result<Option<proto::NodePlan>, DataError> {
    let path = folder.plan();
    let bytes = match file::read_bounded(&path, LENGTH_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::io("read", &path)(error)),
    };
    decode(&bytes).map(Some).ok_or_else(|| {
        DataError::Problem(format!(
            "{} is damaged; what the host has stays as it is until a voter sends the plan again",
            path.display()
        ))
    })
}

/// A plan as it is written.
#[must_use]
pub fn encode(plan: &proto::NodePlan) -> Vec<u8> {
    kept::encode(MAGIC, plan)
}

/// Reads a plan; any bytes give one or none.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<proto::NodePlan> {
    kept::decode(MAGIC, bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn plan() -> proto::NodePlan {
        proto::NodePlan {
            revision: 7,
            node: "home-1".into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_plan_that_is_kept_is_read_back_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        assert_eq!(read(&folder).unwrap(), None);
        write(&folder, &plan()).unwrap();
        assert_eq!(read(&folder).unwrap(), Some(plan()));
        let mode = std::fs::metadata(folder.plan())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_plan_is_no_plan() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        write(&folder, &plan()).unwrap();
        let whole = std::fs::read(folder.plan()).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            std::fs::write(folder.plan(), &bytes).unwrap();
            assert!(read(&folder).unwrap_err().to_string().contains("plan.bin"));
            std::fs::write(folder.plan(), &whole[..place]).unwrap();
            read(&folder).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_plan_or_none(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
