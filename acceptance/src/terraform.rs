//! The real Terraform and the real OpenTofu, with our provider from a mirror on disk and nothing
//! from any network.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::binaries;
use crate::laboratory::{Invocation, Laboratory, Output};

/// An apply waits for proof across the mesh; a loaded machine takes its time.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// `plan -detailed-exitcode` says: there are changes.
const CHANGES: i32 = 2;

/// Distinguishes working folders.
static NEXT_FOLDER: AtomicU32 = AtomicU32::new(0);

/// The registry of the provider, as each tool writes it out in full where a configuration does not.
const REGISTRIES: [&str; 2] = ["registry.terraform.io", "registry.opentofu.org"];

/// Whose command line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// HashiCorp's.
    Terraform,
    /// Its fork.
    OpenTofu,
}

/// A working folder and the surroundings of Terraform.
#[derive(Debug)]
pub struct Terraform<'l> {
    tool: Tool,
    laboratory: &'l Laboratory,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// What a plan says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether anything would change.
    pub has_changes: bool,
    /// All that was printed.
    pub output: Output,
}

impl<'l> Terraform<'l> {
    /// A working folder without any configuration.
    ///
    /// # Errors
    ///
    /// When it can't be made.
    pub fn empty(laboratory: &'l Laboratory) -> Result<Self> {
        let number = NEXT_FOLDER.fetch_add(1, Ordering::Relaxed);
        let folder = laboratory.folder().join(format!("terraform{number}"));
        fs::create_dir(&folder)
            .with_context(|| format!("unable to make the folder {}", folder.display()))?;
        let mirror = laboratory.folder().join("mirror");
        fill_mirror(&mirror)?;
        let settings = laboratory.folder().join("terraform.rc");
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            mirror.display()
        );
        write(&settings, &text)?;
        let environment = [
            ("TF_CLI_CONFIG_FILE", settings.into_os_string()),
            ("TF_IN_AUTOMATION", "1".into()),
            ("TF_INPUT", "0".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value)).into();
        Ok(Self {
            tool: Tool::Terraform,
            laboratory,
            folder,
            environment,
        })
    }

    /// A working folder with a copy of the configuration in `example`.
    ///
    /// # Errors
    ///
    /// When it can't be copied.
    pub fn of_folder(laboratory: &'l Laboratory, example: &Path) -> Result<Self> {
        let terraform = Self::empty(laboratory)?;
        copy_configuration(example, &terraform.folder)
            .with_context(|| format!("unable to copy {}", example.display()))?;
        Ok(terraform)
    }

    /// Sets an environment variable for every command.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Lets this tool do what follows.
    #[must_use]
    pub fn with(mut self, tool: Tool) -> Self {
        self.tool = tool;
        self
    }

    /// Runs a provider from where it was built, without a mirror and without `init`.
    ///
    /// # Errors
    ///
    /// When the settings can't be written.
    pub fn with_provider(self, address: &str, program: &Path) -> Result<Self> {
        // Terraform finds it by the name of its file, whatever it was built as.
        let name = address.rsplit('/').next().unwrap_or(address);
        let folder = self.folder.join("providers");
        fs::create_dir_all(&folder).context("unable to make the folder of providers")?;
        symlink(program, folder.join(format!("terraform-provider-{name}")))
            .with_context(|| format!("unable to link {}", program.display()))?;
        let settings = self.folder.join("terraform.rc");
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  dev_overrides {{\n    \"{address}\" = \"{}\"\n  }}\n}}\n",
            folder.display()
        );
        write(&settings, &text)?;
        Ok(self.env("TF_CLI_CONFIG_FILE", settings))
    }

    /// Has Terraform and the provider write all that they think to [`Self::trace`].
    #[must_use]
    pub fn traced(self) -> Self {
        let path = self.folder.join("trace.log");
        self.env("TF_LOG", "TRACE").env("TF_LOG_PATH", path)
    }

    /// What was traced so far.
    ///
    /// # Errors
    ///
    /// When nothing was.
    pub fn trace(&self) -> Result<String> {
        let bytes = fs::read(self.folder.join("trace.log")).context("unable to read the trace")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes a file of the configuration.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.folder.join(name), text)
    }

    /// Runs `terraform` with these arguments.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        self.laboratory.exec(self.invocation(arguments)?)
    }

    /// Runs `terraform` in full view of the person at the terminal.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn run_shown<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let invocation = self.invocation(arguments)?;
        let status = self.laboratory.exec_shown(invocation.clone())?;
        if !status.success() {
            bail!("`{}` failed: {status}", invocation.description());
        }
        Ok(())
    }

    /// The command line for `terraform` with these arguments, to be started by the caller.
    ///
    /// # Errors
    ///
    /// When Terraform is not installed.
    pub fn invocation<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Invocation> {
        let mut invocation = Invocation::new(self.tool.program()?)
            .args(arguments)
            .current_dir(&self.folder)
            .time_limit(TIME_LIMIT);
        for (name, value) in &self.environment {
            invocation = invocation.env(name, value);
        }
        Ok(invocation)
    }

    /// What a person types to use the same Terraform in the same folder.
    ///
    /// # Errors
    ///
    /// When Terraform is not installed.
    pub fn shell_line(&self) -> Result<String> {
        let settings = self.laboratory.folder().join("terraform.rc");
        Ok(format!(
            "cd {} && TF_CLI_CONFIG_FILE={} {} plan",
            self.folder.display(),
            settings.display(),
            self.tool.program()?.display()
        ))
    }

    /// Installs the provider from the mirror.
    ///
    /// # Errors
    ///
    /// When it can't.
    pub fn init(&self) -> Result<Output> {
        self.run(["init", "-no-color"])?.success()
    }

    /// Says what would change.
    ///
    /// # Errors
    ///
    /// When the plan fails; the message holds the diagnostics.
    pub fn plan(&self) -> Result<Plan> {
        let output = self.run(["plan", "-no-color", "-detailed-exitcode"])?;
        if output.code() == Some(CHANGES) {
            return Ok(Plan {
                has_changes: true,
                output,
            });
        }
        output.success().map(|output| Plan {
            has_changes: false,
            output,
        })
    }

    /// A plan that must fail: its diagnostics.
    ///
    /// # Errors
    ///
    /// When the plan succeeds.
    pub fn plan_refused(&self) -> Result<String> {
        let output = self.run(["plan", "-no-color"])?;
        if output.succeeded() {
            bail!("this plan should have been refused:\n{}", output.stdout);
        }
        Ok(output.stderr)
    }

    /// Applies.
    ///
    /// # Errors
    ///
    /// When the apply fails; the message holds the diagnostics.
    pub fn apply(&self) -> Result<Output> {
        self.run(["apply", "-no-color", "-auto-approve"])?.success()
    }

    /// Destroys everything.
    ///
    /// # Errors
    ///
    /// When that fails; the message holds the diagnostics.
    pub fn destroy(&self) -> Result<Output> {
        self.run(["destroy", "-no-color", "-auto-approve"])?
            .success()
    }

    /// Imports the object `id` as `address`.
    ///
    /// # Errors
    ///
    /// When that fails; the message holds the diagnostics.
    pub fn import(&self, address: &str, id: &str) -> Result<Output> {
        self.run(["import", "-no-color", address, id])?.success()
    }

    /// Forgets `address` without touching the object.
    ///
    /// # Errors
    ///
    /// When that fails; the message holds the diagnostics.
    pub fn forget(&self, address: &str) -> Result<Output> {
        self.run(["state", "rm", address])?.success()
    }

    /// The state, as `terraform show -json` prints it.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn show(&self) -> Result<Value> {
        self.run(["show", "-json"])?.success()?.json()
    }

    /// The value of an output.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn output(&self, name: &str) -> Result<Value> {
        self.run(["output", "-json", name])?.success()?.json()
    }

    /// The working folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Tool {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Terraform, Self::OpenTofu];

    /// Its program.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Self::Terraform => binaries::terraform(),
            Self::OpenTofu => binaries::tofu(),
        }
    }
}

/// Lays the provider out as Terraform expects it of a mirror.
fn fill_mirror(mirror: &Path) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no Terraform is known for {other}"),
    };
    let provider = binaries::provider()?;
    for registry in REGISTRIES {
        let folder = mirror
            .join(registry)
            .join("hanse/hanse")
            .join(version)
            .join(format!("linux_{architecture}"));
        let target = folder.join(format!("terraform-provider-hanse_v{version}"));
        if target.exists() {
            continue;
        }
        fs::create_dir_all(&folder).context("unable to make the mirror of providers")?;
        // A link costs nothing, where the file systems allow one.
        if fs::hard_link(&provider, &target).is_err() {
            fs::copy(&provider, &target)
                .with_context(|| format!("unable to copy {}", provider.display()))?;
        }
    }
    Ok(())
}

/// Configurations, queries and tests, and those in folders below.
fn copy_configuration(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        if path.is_dir() {
            fs::create_dir(to.join(name))?;
            copy_configuration(&path, &to.join(name))?;
        } else if matches!(path.extension().and_then(OsStr::to_str), Some("tf" | "hcl")) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("unable to write {}", path.display()))
}
