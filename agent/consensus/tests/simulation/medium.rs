//! A disk that forgets: what was not synced when the machine died is gone, or there in part.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use hanse_consensus::disk::{self, Contents, Disk};
use hanse_consensus::form::SnapshotForm;
use hanse_consensus::types::VoterId;
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use rand::Rng as _;
use rand::rngs::SmallRng;
use redb::{Database, StorageBackend};

/// What is on a disk, across crashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Medium(Arc<Mutex<Sectors>>);

#[derive(Debug, Default)]
struct Sectors {
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// What is read.
    current: Vec<u8>,
    /// What lies between the two, in order.
    unsynced: Vec<Change>,
    /// Each crash begins another life: handles of an earlier one are dead.
    life: u64,
    /// Changes until the machine dies.
    changes_left: Option<u32>,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// One life's handle.
#[derive(Debug)]
struct Backend {
    medium: Medium,
    life: u64,
}

impl Medium {
    /// A disk with a new voter's file.
    pub(crate) fn new(
        federation: &FederationName,
        voter: VoterId,
        founding: Option<(&SnapshotForm, &FederationState)>,
    ) -> Self {
        let medium = Self::default();
        let path = Path::new("simulated");
        let database = medium.database().unwrap();
        disk::initialize(&database, path, federation, voter, founding).unwrap();
        drop(database);
        medium
    }

    /// Opens the file as a start does.
    pub(crate) fn open(&self, federation: &FederationName) -> (Disk, Contents) {
        let medium = self.clone();
        let opener = Box::new(move |_: &Path| medium.database());
        Disk::open_with(Path::new("simulated"), federation, opener).unwrap()
    }

    /// The machine dies after so many more changes.
    pub(crate) fn die_after(&self, changes: u32) {
        self.lock().changes_left = Some(changes);
    }

    /// The machine dies now. Of what was not synced anything may have reached the disk.
    pub(crate) fn crash(&self, random: &mut SmallRng) {
        let mut sectors = self.lock();
        let mut survivor = std::mem::take(&mut sectors.durable);
        for change in std::mem::take(&mut sectors.unsynced) {
            match change {
                Change::Length(length) if random.random() => survivor.resize(length, 0),
                Change::Bytes(offset, mut bytes) if random.random() => {
                    if random.random_bool(0.2) {
                        bytes.truncate(bytes.len() / 2);
                    }
                    put(&mut survivor, offset, &bytes);
                }
                Change::Length(_) | Change::Bytes(..) => {}
            }
        }
        sectors.current.clone_from(&survivor);
        sectors.durable = survivor;
        sectors.life += 1;
        sectors.changes_left = None;
    }

    fn database(&self) -> Result<Database, redb::DatabaseError> {
        let life = self.lock().life;
        let medium = self.clone();
        Database::builder()
            .set_cache_size(64 << 10)
            .create_with_backend(Backend { medium, life })
    }

    fn lock(&self) -> MutexGuard<'_, Sectors> {
        self.0.lock().unwrap()
    }
}

impl Backend {
    fn sectors(&self) -> io::Result<MutexGuard<'_, Sectors>> {
        let sectors = self.medium.lock();
        if sectors.life == self.life && sectors.changes_left != Some(0) {
            return Ok(sectors);
        }
        Err(io::Error::other("the machine is dead"))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut sectors = self.sectors()?;
        if let Some(left) = &mut sectors.changes_left {
            *left -= 1;
        }
        match &change {
            Change::Length(length) => sectors.current.resize(*length, 0),
            Change::Bytes(offset, bytes) => put(&mut sectors.current, *offset, bytes),
        }
        sectors.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.sectors()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        out.copy_from_slice(&self.sectors()?.current[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut sectors = self.sectors()?;
        for change in std::mem::take(&mut sectors.unsynced) {
            match change {
                Change::Length(length) => sectors.durable.resize(length, 0),
                Change::Bytes(offset, bytes) => put(&mut sectors.durable, offset, &bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset as usize, data.to_vec()))
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}
