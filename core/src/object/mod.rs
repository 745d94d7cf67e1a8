//! What users declare. Each kind is one file; a value that exists here is well-formed.

pub mod dr_backup;
pub mod dr_fencing;
pub mod dr_plan;
pub mod dr_redirect;
pub mod federation;
pub mod member_cluster;
pub mod vpn_mesh;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use dr_plan::DrPlan;
pub use federation::Federation;
pub use member_cluster::MemberCluster;
pub use vpn_mesh::{MeshSite, VpnMesh};

use crate::name::{ClusterName, FederationName, MeshName, PlanName};

/// Any declared object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// The federation's settings.
    Federation(Federation),
    /// One site.
    MemberCluster(MemberCluster),
    /// One WireGuard overlay.
    VpnMesh(VpnMesh),
    /// One DR plan.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    DrPlan(Box<DrPlan>),
}

/// The name of any declared object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectRef {
    /// The federation's settings.
    Federation(FederationName),
    /// One site.
    MemberCluster(ClusterName),
    /// One WireGuard overlay.
    VpnMesh(MeshName),
    /// One DR plan.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    DrPlan(PlanName),
}

impl Object {
    /// The object's own name.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        match self {
            Self::Federation(federation) => ObjectRef::Federation(federation.name.clone()),
            Self::MemberCluster(cluster) => ObjectRef::MemberCluster(cluster.name.clone()),
            Self::VpnMesh(mesh) => ObjectRef::VpnMesh(mesh.name.clone()),
            Self::DrPlan(plan) => ObjectRef::DrPlan(plan.name.clone()),
        }
    }

    /// The federation that the object says it belongs to.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        match self {
            Self::Federation(federation) => &federation.name,
            Self::MemberCluster(cluster) => &cluster.federation,
            Self::VpnMesh(mesh) => &mesh.federation,
            Self::DrPlan(plan) => &plan.federation,
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Federation(name) => write!(f, "federation `{name}`"),
            Self::MemberCluster(name) => write!(f, "member cluster `{name}`"),
            Self::VpnMesh(name) => write!(f, "VPN mesh `{name}`"),
            Self::DrPlan(name) => write!(f, "DR plan `{name}`"),
        }
    }
}

/// Defines an enum that is written as fixed words, with one table for reading and writing.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word that users write.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::object::WordError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err($crate::object::WordError::new(other, Self::WORDS)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

/// A word that is none of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not allowed here: write one of {allowed}")]
pub struct WordError {
    word: String,
    allowed: String,
}

impl WordError {
    pub(crate) fn new(word: &str, allowed: &[&str]) -> Self {
        Self {
            word: word.chars().take(64).collect(),
            allowed: allowed.join(", "),
        }
    }
}
