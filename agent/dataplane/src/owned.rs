//! The record of what this data plane owns on the host.
//!
//! It is written before anything is made and shortened after it is gone, so that after a crash at
//! any instant everything of ours is found again, and nothing of anybody else's is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hanse_core::name::MeshName;
use hanse_core::object::vpn_mesh::InterfaceName;
use serde::{Deserialize, Serialize};

use crate::config::shown;
use crate::error::Error;
use crate::file;
use crate::observation::Backend;

const RECORD_SIZE_MAX: u64 = 1 << 20;
const RECORD_VERSION: u32 = 1;

/// What is owned, kept on disk.
#[derive(Debug)]
pub(crate) struct Owned {
    path: PathBuf,
    record: Record,
}

/// What is owned for one mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnedMesh {
    pub(crate) interface: InterfaceName,
    /// What carries the interface; none: nothing was made yet.
    pub(crate) backend: Option<Backend>,
    /// Whether a daemon was asked to start and has not been seen answering since.
    pub(crate) daemon_starting: bool,
    /// Whether a firewall table may exist.
    pub(crate) firewall: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Which run of the kernel this tells of: nothing but keys outlives it.
    boot: String,
    meshes: BTreeMap<MeshName, OwnedMesh>,
    /// Whether forwarding was off on this host until we turned it on.
    forwarding_was_off: bool,
    /// Whether our routing rules may exist.
    rules: bool,
}

impl Owned {
    /// The record of this run of the kernel. After another one, only the meshes' names are known:
    /// their interfaces are gone, and may be carried otherwise from now on.
    pub(crate) fn load(path: PathBuf, boot: &str) -> Result<Self, Error> {
        let content = file::read_bounded(&path, RECORD_SIZE_MAX)
            .map_err(Error::io(format!("read {}", shown(&path))))?;
        let mut record = match content {
            None => Record {
                version: RECORD_VERSION,
                boot: boot.to_owned(),
                meshes: BTreeMap::new(),
                forwarding_was_off: false,
                rules: false,
            },
            Some(content) => serde_json::from_slice(&content).map_err(|error| {
                Error::problem(format!(
                    "{} is damaged ({error}): it lists the interfaces that Hanse made here; delete \
                     them by `ip link del NAME` and this file, and they will be made again",
                    shown(&path)
                ))
            })?,
        };
        if record.version > RECORD_VERSION {
            return Err(Error::problem(format!(
                "{} was written by a newer version of Hanse: start that version",
                shown(&path)
            )));
        }
        if record.boot != boot {
            record.forget_what_a_boot_ends(boot);
        }
        Ok(Self { path, record })
    }

    pub(crate) fn meshes(&self) -> &BTreeMap<MeshName, OwnedMesh> {
        &self.record.meshes
    }

    pub(crate) fn get(&self, mesh: &MeshName) -> Option<&OwnedMesh> {
        self.record.meshes.get(mesh)
    }

    pub(crate) fn put(&mut self, mesh: &MeshName, owned: OwnedMesh) -> Result<(), Error> {
        self.change(|record| {
            record.meshes.insert(mesh.clone(), owned);
        })
    }

    pub(crate) fn remove(&mut self, mesh: &MeshName) -> Result<(), Error> {
        self.change(|record| {
            record.meshes.remove(mesh);
        })
    }

    pub(crate) fn has_rules(&self) -> bool {
        self.record.rules
    }

    pub(crate) fn set_rules(&mut self, rules: bool) -> Result<(), Error> {
        self.change(|record| record.rules = rules)
    }

    pub(crate) fn forwarding_was_off(&self) -> bool {
        self.record.forwarding_was_off
    }

    pub(crate) fn set_forwarding_was_off(&mut self) -> Result<(), Error> {
        self.change(|record| record.forwarding_was_off = true)
    }

    /// Small, rare and before anything else may happen: so it is written where it stands.
    fn change(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), Error> {
        let mut record = self.record.clone();
        change(&mut record);
        if record == self.record {
            return Ok(());
        }
        let write = || format!("write {}", shown(&self.path));
        let content = serde_json::to_vec_pretty(&record)
            .map_err(std::io::Error::other)
            .map_err(Error::io(write()))?;
        file::write_atomically(&self.path, &content).map_err(Error::io(write()))?;
        self.record = record;
        Ok(())
    }
}

/// Another text for each run of the kernel.
pub(crate) fn boot_id() -> Result<String, Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(path).map_err(Error::io(format!("read {path}")))?;
    Ok(id.trim().to_owned())
}

impl Record {
    fn forget_what_a_boot_ends(&mut self, boot: &str) {
        boot.clone_into(&mut self.boot);
        self.forwarding_was_off = false;
        self.rules = false;
        for mesh in self.meshes.values_mut() {
            mesh.backend = None;
            mesh.daemon_starting = false;
            mesh.firewall = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owned_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataplane.json");
        let mesh: MeshName = "core".parse().unwrap();
        let mut owned = Owned::load(path.clone(), "a").unwrap();
        let entry = OwnedMesh {
            interface: "wg0".parse().unwrap(),
            backend: Some(Backend::WireguardGo),
            daemon_starting: true,
            firewall: false,
        };
        owned.put(&mesh, entry.clone()).unwrap();
        assert_eq!(
            Owned::load(path.clone(), "a").unwrap().get(&mesh),
            Some(&entry)
        );
        owned.remove(&mesh).unwrap();
        assert!(Owned::load(path, "a").unwrap().meshes().is_empty());
    }

    #[test]
    fn after_a_boot_only_the_names_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataplane.json");
        let mesh: MeshName = "core".parse().unwrap();
        let mut owned = Owned::load(path.clone(), "a").unwrap();
        let entry = OwnedMesh {
            interface: "wg0".parse().unwrap(),
            backend: Some(Backend::Kernel),
            daemon_starting: false,
            firewall: true,
        };
        owned.put(&mesh, entry).unwrap();
        owned.set_rules(true).unwrap();
        let after = Owned::load(path, "b").unwrap();
        let entry = after.get(&mesh).unwrap();
        assert_eq!(
            (entry.backend, entry.firewall, after.has_rules()),
            (None, false, false)
        );
    }

    #[test]
    fn a_damaged_record_is_reported_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataplane.json");
        for content in ["", "{", "[]", "{\"version\":1,\"meshes\":{\"wg/../x\":1}}"] {
            std::fs::write(&path, content).unwrap();
            let error = Owned::load(path.clone(), "a").unwrap_err().sentence();
            assert!(error.contains("dataplane.json is damaged"), "{error}");
        }
    }
}
