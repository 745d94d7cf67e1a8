//! The data folder: everything that an agent keeps, and the rules for writing it.
//!
//! Files are written beside their place and renamed into it, so that a crash leaves the old or
//! the new and never a half. The folder and everything secret in it belong to their owner alone.

pub mod file;
pub mod folder;
pub mod kept;
pub mod settings;

pub use folder::{DataError, DataFolder};
pub use settings::{QUEUE_SIZE_DEFAULT, Settings};
