//! Where the sources are.

use std::path::PathBuf;

/// The root of the checkout that the test was started from. Cargo says it when the test runs: what it
/// said when the test was built may be of another checkout that shares the cache of builds.
#[must_use]
pub fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built);
    PathBuf::from(package).join("..")
}
