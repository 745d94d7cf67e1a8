//! Copies of a plan on real PostgreSQL servers. They need root, and Debian's package `postgresql`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod absence;
mod adoption;
mod backup_hang;
mod backup_trouble;
mod backups;
mod drill_bounds;
mod drills;
#[path = "../shared/guard.rs"]
mod guard;
mod interruption;
mod laboratory;
mod lags;
mod moves;
#[path = "../shared/patience.rs"]
mod patience;
#[path = "../shared/drills.rs"]
mod practice;
mod refusals;
mod restores;
