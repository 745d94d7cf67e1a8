//! Backups of a server: base backups and the log, in one repository of pgBackRest's.
//!
//! The primary's node makes them, and whoever is promoted goes on. Nothing here ever stops a server, or
//! keeps it from writing: what is wrong with backups is told, and the primary goes on.

mod archive;
mod config;
mod decide;
mod finish;
mod gap;
mod inherit;
mod place;
mod push;
mod repository;
mod restore;
mod worker;

pub(crate) use archive::{archiving, let_go};
pub(crate) use inherit::inherit;
pub(crate) use worker::Backups;

pub use repository::{Kind, Made};
pub use restore::{Restored, Restoring, backups, restore};
