//! The library's own suite, which every storage that it is to work with must pass.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use hanse_consensus::disk::Disk;
use hanse_consensus::journal::Journal;
use hanse_consensus::log::Log;
use hanse_consensus::machine::Machine;
use hanse_consensus::types::Types;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft_rt_tokio::TokioRuntime;

type OurTypes = Types<TokioRuntime>;

struct Builder;

impl StoreBuilder<OurTypes, Log, Machine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, Log, Machine), StorageError<OurTypes>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let federation = "acme".parse().unwrap();
        Disk::create(&path, &federation, 1, None).unwrap();
        let (disk, contents) = Disk::open(&path, &federation).unwrap();
        let journal = Journal::start(disk).unwrap();
        let log = Log::new(&contents, journal.clone()).unwrap();
        let (machine, _watched) = Machine::new(contents, journal).unwrap();
        Ok((folder, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_keeps_what_raft_asks_of_it() {
    Suite::test_all(Builder).await.unwrap();
}
