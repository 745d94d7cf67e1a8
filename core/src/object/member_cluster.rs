//! A member cluster: one site. Nodes name it; it may be declared before or after they enrol.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::words;
use crate::cidr::Cidr;
use crate::name::{ClusterName, FederationName};
use crate::size::ByteSize;

words! {
    /// What the site runs on.
    Platform {
        /// Amazon Web Services.
        Aws = "aws",
        /// Google Cloud.
        Gcp = "gcp",
        /// Microsoft Azure.
        Azure = "azure",
        /// Oracle Cloud.
        Oci = "oci",
        /// Proxmox VE.
        Proxmox = "proxmox",
        /// Kubernetes.
        Kubernetes = "kubernetes",
        /// Small boxes far from any data centre.
        Edge = "edge",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// What the site is for.
    SiteRole {
        /// It serves.
        Primary = "primary",
        /// It stands by.
        Replica = "replica",
        /// Spokes talk through it.
        Hub = "hub",
        /// It talks through a hub.
        Spoke = "spoke",
        /// It votes and holds no copy.
        Witness = "witness",
    }
}

/// The capabilities that are agreed on. Others are kept and mean nothing to this version.
pub const CAPABILITIES: [&str; 3] = ["burst-source", "cache", "read-only"];

/// Bounds that the site's agents honour, each for itself: what one node may give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Memory that Hanse's workloads may use.
    pub max_memory: Option<ByteSize>,
    /// Storage that Hanse's workloads may use.
    pub max_storage: Option<ByteSize>,
    /// Processors that Hanse's workloads may use.
    pub max_cpus: Option<u32>,
}

/// One site of the federation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCluster {
    /// The federation that it belongs to.
    pub federation: FederationName,
    /// Its name.
    pub name: ClusterName,
    /// What it runs on.
    pub platform: Platform,
    /// Where it is, in the platform's own words; may be empty.
    pub region: String,
    /// What it is for.
    pub role: SiteRole,
    /// Its share where sites are weighted.
    pub weight: u32,
    /// What it can do, in agreed words.
    pub capabilities: BTreeSet<String>,
    /// The user's own words.
    pub labels: BTreeMap<String, String>,
    /// Bounds that its agents honour.
    pub limits: Option<ResourceLimits>,
    /// Its own networks.
    pub networks: Vec<Cidr>,
}
