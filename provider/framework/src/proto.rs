//! The generated messages and services. Nothing here is written by hand, and no author of a
//! provider needs it: the rest of the crate turns these messages into typed values. It is open to
//! tests that speak the protocol.

/// Terraform's own protocol.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// The host's small services.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod plugin {
    tonic::include_proto!("plugin");
}
