//! The operator: a person or a pipeline that holds credentials and stands outside the hosts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::binaries;
use crate::laboratory::{Invocation, Laboratory, Output, Process};
use crate::terraform::Terraform;
use crate::wait::wait_until_true;

/// How long an agent may take to be live.
const LIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Credentials, endpoints and the place to use them from.
#[derive(Clone, Debug)]
pub struct Operator<'l> {
    laboratory: &'l Laboratory,
    endpoints: String,
    credentials: PathBuf,
}

impl<'l> Operator<'l> {
    /// An operator who knows the voters at `endpoints` (host:port, comma-separated).
    #[must_use]
    pub fn new(laboratory: &'l Laboratory, endpoints: &str, credentials: &Path) -> Self {
        Self {
            laboratory,
            endpoints: endpoints.to_owned(),
            credentials: credentials.to_owned(),
        }
    }

    /// Runs `hanse` with these arguments.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn hanse<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        let invocation = Invocation::new(binaries::hanse()?).args(arguments);
        self.laboratory.exec(self.equip(invocation))
    }

    /// Starts `hanse` with these arguments in the background, as `name`.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn spawn<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Process> {
        let invocation = Invocation::new(binaries::hanse()?).args(arguments);
        self.laboratory.spawn(name, self.equip(invocation))
    }

    /// Runs `hanse … --json` and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it failed or printed something else.
    pub fn hanse_json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value> {
        self.hanse(arguments.into_iter().chain(["--json"]))?
            .success()?
            .json()
    }

    /// A token with which one node may join the member cluster.
    ///
    /// # Errors
    ///
    /// When the federation refuses.
    pub fn token(&self, member_cluster: &str) -> Result<String> {
        let output = self
            .hanse(["token", "create", "--cluster", member_cluster])?
            .success()?;
        Ok(output.text().to_owned())
    }

    /// A join token for one more voter.
    ///
    /// # Errors
    ///
    /// When the federation gives none.
    pub fn voter_token(&self, member_cluster: &str) -> Result<String> {
        let arguments = ["token", "create", "--cluster", member_cluster, "--voter"];
        Ok(self.hanse(arguments)?.success()?.stdout.trim().to_owned())
    }

    /// Waits until the federation answers.
    ///
    /// # Errors
    ///
    /// When it does not for a minute.
    pub fn wait_until_answered(&self) -> Result<()> {
        wait_until_true("the federation answers", LIVE_TIMEOUT, || {
            self.hanse(["status"])?.success()?;
            Ok(true)
        })
    }

    /// Waits until the federation calls the node live.
    ///
    /// # Errors
    ///
    /// When it does not for a minute.
    pub fn wait_until_live(&self, node: &str) -> Result<()> {
        wait_until_true(&format!("the node {node} is live"), LIVE_TIMEOUT, || {
            let nodes = self.hanse_json(["nodes"])?;
            if is_live(&nodes, node) {
                return Ok(true);
            }
            bail!("`hanse nodes` says: {nodes}")
        })
    }

    /// Prepares the configuration in `example` for this operator's Terraform.
    ///
    /// # Errors
    ///
    /// When it can't be copied.
    pub fn terraform(&self, example: &Path) -> Result<Terraform<'l>> {
        Terraform::of_folder(self.laboratory, example).map(|terraform| self.give_to(terraform))
    }

    /// Prepares a configuration of one file for this operator's Terraform.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn terraform_with(&self, configuration: &str) -> Result<Terraform<'l>> {
        let terraform = Terraform::empty(self.laboratory)?;
        terraform.write("main.tf", configuration)?;
        Ok(self.give_to(terraform))
    }

    /// The path of the credentials.
    #[must_use]
    pub fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// The voters' addresses, comma-separated.
    #[must_use]
    pub fn endpoints(&self) -> &str {
        &self.endpoints
    }

    fn give_to(&self, terraform: Terraform<'l>) -> Terraform<'l> {
        terraform
            .env("HANSE_ENDPOINTS", &self.endpoints)
            .env("HANSE_CREDENTIALS", &self.credentials)
    }

    fn equip(&self, invocation: Invocation) -> Invocation {
        invocation
            .env("HANSE_ENDPOINTS", &self.endpoints)
            .env("HANSE_CREDENTIALS", &self.credentials)
    }
}

/// Looks for the node's record anywhere in what `hanse nodes --json` printed.
fn is_live(value: &Value, node: &str) -> bool {
    match value {
        Value::Object(fields) => {
            let is_this = fields.get("name").and_then(Value::as_str) == Some(node);
            let is_alive = fields.get("live").and_then(Value::as_bool) == Some(true);
            (is_this && is_alive) || fields.values().any(|inner| is_live(inner, node))
        }
        Value::Array(items) => items.iter().any(|inner| is_live(inner, node)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_node_itself_being_live_counts() {
        let nodes = json!({"nodes": [{"name": "a", "live": true}, {"name": "b", "live": false}]});
        assert!(is_live(&nodes, "a"));
        assert!(!is_live(&nodes, "b") && !is_live(&nodes, "c"));
    }
}
