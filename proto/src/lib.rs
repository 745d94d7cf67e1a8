//! Wire formats of Hanse and nothing else: no logic, no conversions, no defaults.
//!
//! The `.proto` files beside this crate are the documentation of every message.

pub mod codec;

/// Every message and call, as a `FileDescriptorSet`: so that a test can go through all of them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The API between agents, providers, people and the federation, version 1.
pub mod hanse {
    /// Version 1.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated from .proto files"
    )]
    pub mod v1 {
        tonic::include_proto!("hanse.v1");
    }
}

/// No log shows its value.
impl std::fmt::Debug for hanse::v1::PlanSecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlanSecretValue({}, …)", self.purpose)
    }
}

/// What the voters of a federation say to one another.
pub mod raft {
    /// Version 1.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated from .proto files"
    )]
    pub mod v1 {
        tonic::include_proto!("raft.v1");
    }
}
