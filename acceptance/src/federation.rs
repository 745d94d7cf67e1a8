//! A federation of running agents: one host, one node, one member cluster each.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::agent::{API_PORT, Agent};
use crate::binaries;
use crate::configuration::Configuration;
use crate::laboratory::Laboratory;
use crate::operator::Operator;
use crate::terraform::Terraform;
use crate::wait::wait_until_true;

/// How long it may take until all voters vote: each is watched for a while first.
const VOTING_TIMEOUT: Duration = Duration::from_secs(90);

/// Whoever was heard of within that time is there.
const HEARD_MS: u64 = 2_000;

/// The name of every federation that tests raise.
pub const FEDERATION: &str = "test";

/// Agents that run, the first of them the voter, and somebody who may ask.
#[derive(Debug)]
pub struct Federation<'l> {
    /// One for each host, in the hosts' order.
    pub agents: Vec<Agent<'l>>,
    /// Somebody who may ask.
    pub operator: Operator<'l>,
    laboratory: &'l Laboratory,
    sites: Vec<String>,
}

impl<'l> Federation<'l> {
    /// Bootstraps the first host, enrols the others by token, starts all and waits until each is
    /// live. The member clusters `site1`, `site2`, … are declared by nobody yet.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise(laboratory: &'l Laboratory) -> Result<Self> {
        Self::raise_on(laboratory, laboratory.hosts().len())
    }

    /// The same on the first `count` hosts; the others are bare.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise_on(laboratory: &'l Laboratory, count: usize) -> Result<Self> {
        let hosts = laboratory.hosts().iter().take(count);
        let sites = hosts.map(|host| format!("site{}", host.number()));
        Self::raise_as(laboratory, sites)
    }

    /// The same on as many hosts as there are names of member clusters.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise_as(
        laboratory: &'l Laboratory,
        sites: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        let sites: Vec<String> = sites.into_iter().map(Into::into).collect();
        Self::raise_with(laboratory, sites, &binaries::hanse()?)
    }

    fn raise_with(
        laboratory: &'l Laboratory,
        sites: Vec<String>,
        first_program: &Path,
    ) -> Result<Self> {
        let first = laboratory.host(1);
        let program = first_program.to_owned();
        let (mut voter, operator) =
            Agent::bootstrap_with(laboratory, first, FEDERATION, &sites[0], program)?;
        voter.start()?;
        voter.wait_until_answered(&operator)?;
        let mut agents = vec![voter];
        for (host, site) in laboratory.hosts().iter().zip(&sites).skip(1) {
            let mut agent = Agent::join(host, &operator.token(site)?)?;
            agent.start()?;
            agents.push(agent);
        }
        for agent in &agents {
            agent.wait_until_live(&operator)?;
        }
        Ok(Self {
            agents,
            operator,
            laboratory,
            sites,
        })
    }

    /// Every host a voter: the first founds, the others join, and all vote.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise_voters(laboratory: &'l Laboratory) -> Result<Self> {
        let count = laboratory.hosts().len();
        Self::raise_voters_with(laboratory, count, &binaries::hanse()?)
    }

    /// The same on the first `count` hosts and with another version of the program; the other
    /// hosts are bare.
    ///
    /// # Errors
    ///
    /// When any of it fails.
    pub fn raise_voters_with(
        laboratory: &'l Laboratory,
        count: usize,
        program: &Path,
    ) -> Result<Self> {
        let mut federation = Self::raise_with(laboratory, vec!["site1".to_owned()], program)?;
        let hosts = &laboratory.hosts()[..count];
        for host in hosts.iter().skip(1) {
            let site = format!("site{}", host.number());
            let token = federation.operator.voter_token(&site)?;
            let mut agent = Agent::join_voter_with(host, &token, program.to_owned())?;
            agent.start()?;
            federation.agents.push(agent);
            federation.sites.push(site);
        }
        federation.ask_all_voters();
        federation.wait_until_voting(count)?;
        Ok(federation)
    }

    /// Counts the member cluster of the next host in, whose node joins by itself.
    pub fn add_site(&mut self, site: &str) {
        self.sites.push(site.to_owned());
    }

    /// Makes a voter of a host's node, and waits until it votes.
    ///
    /// # Errors
    ///
    /// When it doesn't.
    pub fn add_voter(&self, place: usize) -> Result<()> {
        let agent = &self.agents[place];
        let advertise = format!("{}:{API_PORT}", agent.host().ipv4());
        let arguments = ["voter", "add", agent.node(), "--advertise", &advertise];
        self.operator.hanse(arguments)?.success()?;
        Ok(())
    }

    /// Makes a voter a follower, and waits until the others go on without it.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub fn remove_voter(&self, place: usize) -> Result<()> {
        let node = self.agents[place].node();
        self.operator.hanse(["voter", "remove", node])?.success()?;
        Ok(())
    }

    /// Asks any of the hosts from now on: each may be a voter.
    pub fn ask_all_voters(&mut self) {
        let endpoints = self.agents.iter();
        let endpoints: Vec<String> = endpoints
            .map(|agent| format!("{}:{API_PORT}", agent.host().ipv4()))
            .collect();
        let credentials = self.operator.credentials().to_owned();
        self.operator = Operator::new(self.laboratory, &endpoints.join(","), &credentials);
    }

    /// Waits until so many voters vote and lack nothing.
    ///
    /// # Errors
    ///
    /// When they don't in time.
    pub fn wait_until_voting(&self, count: usize) -> Result<()> {
        wait_until_true("the voters vote", VOTING_TIMEOUT, || {
            let status = self.operator.hanse_json(["status"])?;
            let voters = status["voters"].as_array().cloned().unwrap_or_default();
            let is_here = |voter: &&serde_json::Value| {
                let silent_ms = voter["silent_for_ms"].as_u64();
                let is_heard = silent_ms.is_some_and(|silent_ms| silent_ms < HEARD_MS);
                voter["votes"] == true && voter["lag_entries"] == 0 && is_heard
            };
            Ok(voters.iter().filter(is_here).count() == count)
        })
    }

    /// The host whose voter leads, by its place among the agents.
    ///
    /// # Errors
    ///
    /// When none does.
    pub fn leader(&self) -> Result<usize> {
        let status = self.operator.hanse_json(["status"])?;
        let voters = status["voters"].as_array().cloned().unwrap_or_default();
        let leads = voters.iter().find(|voter| voter["leads"] == true);
        let name = leads.and_then(|voter| voter["node"].as_str());
        let place = self
            .agents
            .iter()
            .position(|agent| Some(agent.node()) == name);
        place.ok_or_else(|| anyhow::anyhow!("nobody leads: {status}"))
    }

    /// A mesh between all sites, as a user would write it.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        let sites = self
            .sites
            .iter()
            .map(String::as_str)
            .zip(self.laboratory.hosts());
        Configuration::mesh(FEDERATION, sites)
    }

    /// A working folder with the configuration, initialised.
    ///
    /// # Errors
    ///
    /// When `terraform init` fails.
    pub fn terraform(&self, configuration: &Configuration) -> Result<Terraform<'l>> {
        let terraform = self.operator.terraform_with(&configuration.to_string())?;
        terraform.init()?;
        Ok(terraform)
    }

    /// The mesh between all sites, applied.
    ///
    /// # Errors
    ///
    /// When the apply fails.
    pub fn with_mesh(&self) -> Result<Terraform<'l>> {
        let terraform = self.terraform(&self.configuration())?;
        terraform.apply()?;
        Ok(terraform)
    }

    /// The addresses of a node in the mesh, as `hanse nodes` tells them.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn addresses(&self, node: &str) -> Result<Vec<String>> {
        let nodes = self.operator.hanse_json(["nodes"])?;
        let found =
            find(&nodes, node).and_then(|record| record["meshes"][0]["addresses"].as_array());
        let found = found.into_iter().flatten().filter_map(|text| text.as_str());
        let found: Vec<String> = found.map(str::to_owned).collect();
        anyhow::ensure!(!found.is_empty(), "{node} has no address: {nodes}");
        Ok(found)
    }

    /// The federation's committed revision.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn revision(&self) -> Result<u64> {
        let status = self.operator.hanse_json(["status"])?;
        let revision = status["revision"].as_u64();
        revision.ok_or_else(|| anyhow::anyhow!("no revision in {status}"))
    }
}

fn find<'v>(value: &'v serde_json::Value, node: &str) -> Option<&'v serde_json::Value> {
    let list = value.as_array().or_else(|| value["nodes"].as_array())?;
    list.iter().find(|record| record["name"] == node)
}
