//! The plan that the bench declares, as a user would write it.

use std::net::Ipv4Addr;

use super::cluster::{Replication, Variant};
use super::server;

/// Its name.
pub(super) const PLAN: &str = "orders";
/// The address that follows the primary.
pub(super) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 200);
/// Where each host has its copy.
pub(super) const DATA: &str = "/run/data/disk/pg";
/// How many hosts have one.
pub(super) const COPIES: usize = 3;

/// Which host is what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    /// Those with a copy; the first one is the home.
    pub(super) copies: [u8; COPIES],
    /// The one that has none, from which clients come.
    pub(super) witness: u8,
    /// How many are voters: the first ones.
    pub(super) voters: u8,
    /// The plan's timings, by default and tuned.
    pub(super) presets: [&'static str; 2],
}

/// How a plan is declared.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Its timings.
    pub variant: Variant,
    /// Whether its commits wait.
    pub replication: Replication,
    /// Whether a failover needs nobody's word.
    pub is_automatic: bool,
}

impl From<(Variant, Replication)> for Terms {
    fn from((variant, replication): (Variant, Replication)) -> Self {
        Self {
            variant,
            replication,
            is_automatic: true,
        }
    }
}

/// The plan, in which there is `more`.
pub(super) fn plan(roles: Roles, terms: Terms, more: &str) -> String {
    let [home, first, second] = roles.copies;
    let preset = match terms.variant {
        Variant::Default => roles.presets[0],
        Variant::Tuned => roles.presets[1],
    };
    let is_automatic = terms.is_automatic;
    let mode = match terms.replication {
        Replication::Default | Replication::Async => "async",
        Replication::Sync => "sync",
    };
    format!(
        r#"
resource "hanse_dr_plan" "orders" {{
  federation         = hanse_federation.this.name
  name               = "{PLAN}"
  home               = "site{home}"
  standbys           = ["site{first}", "site{second}"]
  preset             = "{preset}"
  replication        = {{ mode = "{mode}", min_in_sync = 1 }}
  automatic_failover = {is_automatic}
  service_address    = "{SERVICE}"
  {more}
  workload = {{
    postgresql = {{ data_directory = "{}", port = {} }}
  }}
  depends_on = [hanse_vpn_mesh.this]
}}
"#,
        DATA,
        server::PORT,
    )
}
