//! Copies of a plan on real PostgreSQL servers. They need root, and Debian's package `postgresql`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod adoption;
mod backup_hang;
mod backup_trouble;
mod backups;
mod drills;
mod guard;
mod interruption;
mod laboratory;
mod moves;
mod refusals;
