//! Copies of a plan that are made now and then: folders with a real restic, and users' own programs.
//! They need root, and Debian's packages `restic` and `util-linux`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod commands;
mod drills;
mod folders;
#[path = "../shared/guard.rs"]
mod guard;
mod laboratory;
#[path = "../shared/patience.rs"]
mod patience;
#[path = "../shared/drills.rs"]
mod practice;
