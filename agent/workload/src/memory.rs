//! What a copy must not forget, on the disk beside the agent's data.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hanse_core::name::PlanName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::file::{self, Owner};
use crate::trouble::Trouble;

/// A memory and the file that it is in.
#[derive(Debug)]
pub(crate) struct Kept<M> {
    path: PathBuf,
    memory: M,
}

impl<M: Clone + PartialEq + Serialize + DeserializeOwned> Kept<M> {
    /// Reads what is known of a plan's copy; `new`: nothing is known yet.
    pub(crate) fn open(
        folder: &Path,
        plan: &PlanName,
        new: impl FnOnce(PlanName) -> M,
    ) -> Result<Self, Trouble> {
        let path = folder.join(format!("{plan}.json"));
        let memory = match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|error| {
                Trouble(format!(
                    "{} can't be read ({error}): restore it, or remove it together with this \
                     copy's data",
                    path.display()
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new(plan.clone()),
            Err(error) => return Err(Trouble::io("read", &path, &error)),
        };
        Ok(Self { path, memory })
    }

    pub(crate) fn get(&self) -> &M {
        &self.memory
    }

    /// Changes it; it is on the disk when this returns.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut M)) -> Result<(), Trouble> {
        let mut memory = self.memory.clone();
        change(&mut memory);
        if memory == self.memory {
            return Ok(());
        }
        let content = serde_json::to_vec_pretty(&memory)
            .map_err(|error| Trouble(format!("unable to write down what was done: {error}")))?;
        file::write_atomically(&self.path, Owner::own(0o600), &content)
            .map_err(|error| Trouble::io("write", &self.path, &error))?;
        self.memory = memory;
        Ok(())
    }
}
