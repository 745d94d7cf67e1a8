//! The replicated state on this voter's disk, and the one way to change it.
//!
//! [`Replica`] is the seam behind which consensus comes: propose, read, wait for changes. What is
//! in memory is never ahead of what is on the disk, and a file that can't be trusted is an error
//! that names it and never a fresh start.

pub mod disk;
mod record;
pub mod replica;

pub use disk::{Disk, StoreError};
pub use replica::{Committed, ProposeError, Replica};
