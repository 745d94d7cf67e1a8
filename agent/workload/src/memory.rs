//! What a copy must not forget: which branch it is on, what it promised, what it began.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hanse_core::name::PlanName;
use serde::{Deserialize, Serialize};

use crate::file::{self, Owner};
use crate::trouble::Trouble;

/// What is kept of a copy on the disk, beside the agent's data and never within the workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The plan.
    pub(crate) plan: PlanName,
    /// The latest duty that was heard of: an older one is never obeyed again.
    pub(crate) heard: u64,
    /// The lease under which what is here was written last.
    pub(crate) branch: u64,
    /// The primary that the server was pointed at since, and may have received from; none: everything
    /// here is of the branch.
    #[serde(default)]
    pub(crate) pointed: Option<Pointed>,
    /// The latest run for which it cut its connection to the primary.
    pub(crate) barrier: u64,
    /// The lease under which it writes, or did last.
    pub(crate) epoch: u64,
    /// It was primary since it last followed one, and may have what nobody else has.
    pub(crate) may_diverge: bool,
    /// It was about to be promoted, and which timeline that began is not noted yet.
    pub(crate) promotes: bool,
    /// What is here is not whole until it has followed a primary: it was copied, or rewound.
    pub(crate) is_being_made: bool,
    /// A rewind began and did not end: what is here can't be used.
    pub(crate) is_half_rewound: bool,
    /// Which lease began each of PostgreSQL's timelines, of those that began under the plan. Two
    /// servers that are promoted from the same place call their timelines alike.
    pub(crate) lineage: Lineage,
}

/// A primary that a server was pointed at, as it told of itself before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointed {
    /// Its lease.
    pub(crate) epoch: u64,
    /// PostgreSQL's timeline that it wrote on.
    pub(crate) timeline: u32,
    /// How far it was.
    pub(crate) offset_bytes: u64,
    /// The earliest timeline of it, and of those that the server was pointed at before without
    /// telling what came of that.
    pub(crate) timeline_min: u32,
}

/// Timelines, and the lease that began each.
pub(crate) type Lineage = BTreeMap<u32, u64>;

/// A memory and the file that it is in.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    memory: Memory,
}

impl Memory {
    pub(crate) fn new(plan: PlanName) -> Self {
        Self {
            plan,
            heard: 0,
            branch: 0,
            pointed: None,
            barrier: 0,
            epoch: 0,
            may_diverge: false,
            promotes: false,
            is_being_made: false,
            is_half_rewound: false,
            lineage: Lineage::new(),
        }
    }

    /// The latest lease of whose primary it may have received anything.
    pub(crate) fn received_epoch(&self) -> u64 {
        let pointed = self.pointed.map_or(0, |pointed| pointed.epoch);
        self.branch.max(pointed)
    }
}

impl Kept {
    /// Reads what is known of a plan's copy; nothing is known of a new one.
    pub(crate) fn open(folder: &Path, plan: &PlanName) -> Result<Self, Trouble> {
        let path = folder.join(format!("{plan}.json"));
        let memory = match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|error| {
                Trouble(format!(
                    "{} can't be read ({error}): restore it, or remove it together with this \
                     copy's data",
                    path.display()
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::new(plan.clone()),
            Err(error) => return Err(Trouble::io("read", &path, &error)),
        };
        Ok(Self { path, memory })
    }

    pub(crate) fn get(&self) -> &Memory {
        &self.memory
    }

    /// Changes it; it is on the disk when this returns.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Memory)) -> Result<(), Trouble> {
        let mut memory = self.memory.clone();
        change(&mut memory);
        if memory == self.memory {
            return Ok(());
        }
        let content = serde_json::to_vec_pretty(&memory)
            .map_err(|error| Trouble(format!("unable to write down what was done: {error}")))?;
        let owner = Owner {
            user_id: rustix::process::getuid().as_raw(),
            group_id: rustix::process::getgid().as_raw(),
            mode: 0o600,
        };
        file::write_atomically(&self.path, owner, &content)
            .map_err(|error| Trouble::io("write", &self.path, &error))?;
        self.memory = memory;
        Ok(())
    }
}
