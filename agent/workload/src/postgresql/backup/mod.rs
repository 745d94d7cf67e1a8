//! Backups of a server: base backups and the log, in one repository of pgBackRest's.
//!
//! The primary's node makes them, and whoever is promoted goes on. Nothing here ever stops a server, or
//! keeps it from writing: what is wrong with backups is told, and the primary goes on.

mod archive;
mod config;
mod decide;
mod finish;
mod folder;
mod gap;
mod inherit;
mod passing;
mod place;
mod push;
mod recover;
mod repository;
mod restore;
mod timelines;
mod worker;

use hanse_core::dr::duty::Duty;
use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Postgresql;

use crate::setup::Setup;

pub(crate) use archive::{archiving, let_go};
pub(crate) use inherit::inherit;
pub(crate) use worker::Backups;

pub use repository::{Kind, Made};
pub use restore::{Restored, Restoring, Stock, backups, restore};

/// A copy on this node whose backups are asked for.
#[derive(Debug, Clone, Copy)]
pub struct BackedCopy<'a> {
    /// Where things of the copy are.
    pub setup: &'a Setup,
    /// The server.
    pub postgresql: &'a Postgresql,
    /// The plan.
    pub plan: &'a PlanName,
    /// What the copy was to be, by what this node heard last: it tells who leads.
    pub duty: &'a Duty,
}
