//! A Terraform configuration of a federation, in a few words.
//!
//! It is text in the end, as a user would write it; tests change one thing and write it again.

use std::collections::BTreeMap;
use std::fmt;

use crate::laboratory::Host;

/// A federation, its member clusters and at most one mesh.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The federation's name.
    pub federation: String,
    /// More lines for it.
    pub federation_lines: Vec<String>,
    /// The member clusters, by name.
    pub sites: BTreeMap<String, Site>,
    /// The mesh's address pools; none: no mesh.
    pub address_pools: Vec<String>,
    /// More lines for the mesh.
    pub mesh_lines: Vec<String>,
    /// More of the configuration.
    pub tail: String,
}

/// One member cluster and its place in the mesh.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Where its gateway can be dialled; empty: it can't.
    pub endpoint: String,
    /// Its own networks.
    pub networks: Vec<String>,
    /// The networks behind its gateway.
    pub routes: Vec<String>,
    /// How many nodes the mesh waits for.
    pub expected_nodes: u32,
    /// Whether the mesh names it.
    pub in_mesh: bool,
}

impl Configuration {
    /// A mesh on v4 and v6 between these sites, each with a host that can be dialled.
    pub fn mesh<'h>(
        federation: &str,
        sites: impl IntoIterator<Item = (&'h str, &'h Host)>,
    ) -> Self {
        let site = |(name, host): (&str, &Host)| {
            let endpoint = format!("{}:51820", host.ipv4());
            let site = Site {
                endpoint,
                expected_nodes: 1,
                in_mesh: true,
                ..Site::default()
            };
            (name.to_owned(), site)
        };
        Self {
            federation: federation.to_owned(),
            federation_lines: Vec::new(),
            sites: sites.into_iter().map(site).collect(),
            address_pools: vec!["10.90.0.0/24".to_owned(), "fd90::/64".to_owned()],
            mesh_lines: Vec::new(),
            tail: String::new(),
        }
    }

    /// The site of that name; a new one has nothing.
    ///
    pub fn site(&mut self, name: &str) -> &mut Site {
        self.sites.entry(name.to_owned()).or_default()
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let federation = &self.federation;
        writeln!(
            f,
            "terraform {{\n  required_providers {{\n    hanse = {{ source = \"hanse/hanse\" }}\n  }}\n}}"
        )?;
        writeln!(f, "provider \"hanse\" {{}}")?;
        writeln!(
            f,
            "resource \"hanse_federation\" \"this\" {{\n  name = \"{federation}\""
        )?;
        self.federation_lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "}}")?;
        for (name, site) in &self.sites {
            writeln!(f, "resource \"hanse_member_cluster\" \"{name}\" {{")?;
            writeln!(
                f,
                "  federation = hanse_federation.this.name\n  name = \"{name}\""
            )?;
            writeln!(
                f,
                "  platform = \"other\"\n  networks = {:?}\n}}",
                site.networks
            )?;
        }
        if !self.address_pools.is_empty() {
            writeln!(f, "resource \"hanse_vpn_mesh\" \"this\" {{")?;
            writeln!(
                f,
                "  federation = hanse_federation.this.name\n  name = \"backbone\""
            )?;
            writeln!(
                f,
                "  address_pools = {:?}\n  sites = {{",
                self.address_pools
            )?;
            for (name, site) in self.sites.iter().filter(|(_, site)| site.in_mesh) {
                writeln!(f, "    (hanse_member_cluster.{name}.name) = {{")?;
                if !site.endpoint.is_empty() {
                    writeln!(f, "      endpoint = {:?}", site.endpoint)?;
                }
                writeln!(f, "      routes = {:?}", site.routes)?;
                writeln!(f, "      expected_nodes = {}\n    }}", site.expected_nodes)?;
            }
            writeln!(f, "  }}")?;
            self.mesh_lines
                .iter()
                .try_for_each(|line| writeln!(f, "  {line}"))?;
            writeln!(f, "}}")?;
        }
        f.write_str(&self.tail)
    }
}
