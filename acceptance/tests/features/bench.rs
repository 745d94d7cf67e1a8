//! A working folder for one feature and one tool, and what is asked of every feature: that nothing
//! is left to do after an apply, and nothing is left over after a destroy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::{Laboratory, Output, Terraform, Tool, binaries};
use serde_json::Value;

use crate::table;

/// The provider, in full, so that each tool means the same one.
const ADDRESS: &str = "registry.terraform.io/example/corner";

/// Whether a tool has a feature.
pub(crate) enum Verdict {
    Works,
    /// It doesn't; this is what it says.
    Missing(&'static str),
    /// It doesn't, and says nothing.
    Silent,
}

/// One tool with the provider.
pub(crate) struct Corner<'l> {
    pub(crate) tool: Tool,
    pub(crate) terraform: Terraform<'l>,
    store: PathBuf,
}

/// Proves a feature under each tool and compares with what is written of it.
pub(crate) fn feature(
    name: &'static str,
    scenario: impl Fn(&Corner<'_>) -> Result<Verdict>,
) -> Result<()> {
    let laboratory = Laboratory::start(0)?;
    let mut cells = Vec::new();
    for tool in Tool::ALL {
        let corner = Corner::start(&laboratory, tool)?;
        let verdict = scenario(&corner).with_context(|| format!("{name}, under {tool:?}"))?;
        corner
            .end()
            .with_context(|| format!("{name}, at the end under {tool:?}"))?;
        cells.push(match verdict {
            Verdict::Works => "yes".to_owned(),
            Verdict::Missing(said) => format!("not in this version: “{said}”"),
            Verdict::Silent => "not in this version, which says nothing".to_owned(),
        });
    }
    table::record(name, cells)
}

impl<'l> Corner<'l> {
    pub(crate) fn start(laboratory: &'l Laboratory, tool: Tool) -> Result<Self> {
        let program = binaries::example("corner", "terraform-plugin")?;
        let terraform = Terraform::empty(laboratory)?
            .with(tool)
            .with_provider(ADDRESS, &program)?;
        let store = terraform.folder().join("store");
        fs::create_dir(&store)?;
        terraform.write("setup.tf", &Self::setup(&store.display().to_string()))?;
        Ok(Self {
            tool,
            terraform,
            store,
        })
    }

    fn setup(store: &str) -> String {
        format!(
            "terraform {{\n  required_providers {{\n    corner = {{ source = \"{ADDRESS}\" }}\n  }}\n}}\nprovider \"corner\" {{\n  folder = \"{store}\"\n}}\n"
        )
    }

    /// Lets this be the configuration.
    pub(crate) fn configure(&self, configuration: &str) -> Result<()> {
        self.terraform.write("main.tf", configuration)
    }

    /// Applies a configuration, after which there is nothing left to do.
    pub(crate) fn apply(&self, configuration: &str) -> Result<Output> {
        self.configure(configuration)?;
        let output = self.terraform.apply()?;
        self.settled()?;
        Ok(output)
    }

    /// Nothing is to be done.
    pub(crate) fn settled(&self) -> Result<()> {
        let plan = self.terraform.plan()?;
        ensure!(!plan.has_changes, "left to do:\n{}", plan.output.stdout);
        Ok(())
    }

    /// The plan of a configuration, which has to have changes.
    pub(crate) fn plan(&self, configuration: &str) -> Result<String> {
        self.configure(configuration)?;
        let plan = self.terraform.plan()?;
        ensure!(plan.has_changes, "nothing to do:\n{}", plan.output.stdout);
        Ok(plan.output.stdout)
    }

    /// What is said of a configuration that is refused, without the line breaks in it.
    pub(crate) fn refused(&self, configuration: &str) -> Result<String> {
        self.configure(configuration)?;
        Ok(flat(&self.terraform.plan_refused()?))
    }

    /// What is said of a configuration whose apply fails.
    pub(crate) fn fails(&self, configuration: &str) -> Result<String> {
        self.configure(configuration)?;
        let output = self
            .terraform
            .run(["apply", "-no-color", "-auto-approve"])?;
        ensure!(!output.succeeded(), "this worked:\n{}", output.stdout);
        Ok(flat(&output.stderr))
    }

    /// All that a command that succeeds says.
    pub(crate) fn said<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let output = self.terraform.run(arguments)?.success()?;
        Ok(flat(&(output.stdout + &output.stderr)))
    }

    /// The attributes of a resource or data source in the state.
    pub(crate) fn state(&self, address: &str) -> Result<Value> {
        let state = self.terraform.show()?;
        let resources = state["values"]["root_module"]["resources"].as_array();
        let found = resources
            .into_iter()
            .flatten()
            .find(|resource| resource["address"] == address);
        let found = found.with_context(|| format!("{address} is not in {state}"))?;
        Ok(found["values"].clone())
    }

    /// Puts another state in the place of the present one.
    pub(crate) fn replace_state(&self, state: &Value) -> Result<()> {
        self.terraform
            .write("terraform.tfstate", &state.to_string())
    }

    /// Runs a command that this tool lacks, as it says.
    pub(crate) fn lacks<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        said: &'static str,
    ) -> Result<Verdict> {
        let output = self.terraform.run(arguments)?;
        let found = flat(&(output.stdout.clone() + &output.stderr));
        ensure!(!output.succeeded(), "this worked: {found}");
        ensure!(found.contains(said), "{found}");
        Ok(Verdict::Missing(said))
    }

    /// The path of an object in the store.
    pub(crate) fn file(&self, kind: &str, name: &str) -> PathBuf {
        self.store.join(format!("{kind}.{name}.json"))
    }

    /// An object as the provider keeps it.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Result<Value> {
        let path = self.file(kind, name);
        let json = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// Changes an object behind the tool's back.
    pub(crate) fn meddle(&self, kind: &str, name: &str, key: &str, value: Value) -> Result<()> {
        let mut object = self.object(kind, name)?;
        object[key] = value;
        fs::write(self.file(kind, name), object.to_string())?;
        Ok(())
    }

    /// What the provider noted.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.store.join("log")).unwrap_or_default())
    }

    /// Destroys what is there, and nothing is left over.
    fn end(&self) -> Result<()> {
        self.configure("")?;
        self.terraform.destroy()?;
        let mut left = Vec::new();
        for entry in fs::read_dir(&self.store)? {
            left.push(entry?.file_name());
        }
        left.retain(|name| name != "log");
        ensure!(left.is_empty(), "left over: {left:?}");
        Ok(())
    }
}

/// A finding as one line: the tools break it to the width of the terminal.
pub(crate) fn flat(said: &str) -> String {
    let words: Vec<&str> = said
        .split_whitespace()
        .filter(|word| !["│", "╷", "╵"].contains(word))
        .collect();
    words.join(" ")
}
