//! What a copy must not forget: which branch it is on, what it promised, whether it may be written to.

use std::fmt;

use hanse_core::name::{NodeName, PlanName};
use serde::{Deserialize, Serialize};

/// What is kept of a copy on the disk, beside the agent's data and never within the workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The plan.
    pub(crate) plan: PlanName,
    /// The latest duty that was heard of: an older one is never obeyed again.
    pub(crate) heard: u64,
    /// The latest run for which nothing reaches it any more.
    pub(crate) barrier: u64,
    /// The lease under which what is here was written last.
    pub(crate) branch: u64,
    /// How far it was, when it was copied or published last.
    pub(crate) offset_bytes: u64,
    /// The lease under which it is written to, or was last.
    pub(crate) epoch: u64,
    /// The lease that it follows, or did last, and who has that.
    pub(crate) follows: u64,
    pub(crate) primary: Option<NodeName>,
    /// It is written to, or may be: it was not demoted since.
    pub(crate) may_write: bool,
    /// The lease under which it was promoted. 0: none.
    pub(crate) promoted: u64,
    /// The end of that lease ends what writes.
    pub(crate) fences_itself: bool,
    /// All data is here.
    pub(crate) is_whole: bool,
    /// It was primary since it last received, and may have what nobody else has.
    pub(crate) may_diverge: bool,
    /// What this copy is of; none: nothing was done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<Of>,
}

/// What a copy is of. A plan of the same name that is declared for something else has no copy here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// The folder; empty: what users' own programs keep.
    pub(crate) path: String,
    /// Where it is copied from and to.
    pub(crate) repository: String,
}

impl Memory {
    pub(crate) fn new(plan: PlanName) -> Self {
        Self {
            plan,
            heard: 0,
            barrier: 0,
            branch: 0,
            offset_bytes: 0,
            epoch: 0,
            follows: 0,
            primary: None,
            may_write: false,
            promoted: 0,
            fences_itself: false,
            is_whole: false,
            may_diverge: false,
            of: None,
        }
    }

    /// Notes what the plan is declared for now; yields why nothing that is remembered counts for that.
    pub(crate) fn take_for(&mut self, of: &Of) -> Result<(), String> {
        if let Some(known) = self.of.as_ref().filter(|known| known.path != of.path) {
            return Err(format!(
                "the DR plan `{}` kept {known} on this node and is declared for {of} now: declare a plan \
                 of another name for that, or set it back",
                self.plan
            ));
        }
        let is_moved = self.of.as_ref().is_some_and(|known| known != of);
        // What is written to here goes into the new repository; any other copy is of the old one.
        self.is_whole &= !is_moved || self.may_write;
        self.of = Some(of.clone());
        Ok(())
    }
}

impl fmt::Display for Of {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str("what programs of its own keep"),
            path => formatter.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, repository: &str) -> Of {
        Of {
            path: path.to_owned(),
            repository: repository.to_owned(),
        }
    }

    #[test]
    fn what_is_remembered_of_one_folder_counts_for_no_other() {
        let mut memory = Memory::new("files".parse().unwrap());
        memory.is_whole = true;
        memory.take_for(&of("/a", "one")).unwrap();
        assert!(memory.is_whole);
        let before = memory.clone();
        for other in [of("/b", "one"), of("/b", "two"), of("", "")] {
            let told = memory.take_for(&other).unwrap_err();
            assert!(told.contains("kept /a on this node"), "{told}");
            assert_eq!(memory, before, "it can be set back");
        }
        // Whoever follows has what is in the old repository.
        memory.take_for(&of("/a", "two")).unwrap();
        assert!(!memory.is_whole);
    }

    #[test]
    fn a_primary_goes_on_into_another_repository() {
        let mut memory = Memory::new("files".parse().unwrap());
        (memory.is_whole, memory.may_write) = (true, true);
        memory.take_for(&of("/a", "one")).unwrap();
        memory.take_for(&of("/a", "two")).unwrap();
        assert!(memory.is_whole);
    }
}
