//! `docs/compatibility.md`: which feature works under which tool. It is written from what ran, by
//! `HANSE_WRITE_COMPATIBILITY=1 scripts/test features`, and each run compares with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use hanse_acceptance::{Laboratory, Terraform, Tool};

/// Set to write the table.
const WRITE_VARIABLE: &str = "HANSE_WRITE_COMPATIBILITY";

/// The features, as the table groups and names them.
const FEATURES: [(&str, &[&str]); 10] = [
    (
        "Values",
        &[
            "Every kind of attribute and block, in resources",
            "Every kind of attribute and block, in data sources",
            "Numbers keep every digit",
            "Unknown values, also inside collections and blocks",
            "A value of any type may change its type",
            "Defaults inside sets of objects and sets of blocks",
            "Computed values inside nested objects and blocks",
            "Another spelling of the same value is no change",
            "Values of a certain form, as they were written",
        ],
    ),
    (
        "Plans",
        &[
            "Defaults",
            "Computed values that stay through an update",
            "Replacement by a changed attribute, and by a condition",
            "A promise about an unknown value decides a plan",
            "Warnings and errors at an attribute",
            "A destroy that is refused",
            "A deprecated attribute says what to use instead",
            "Drift is found and mended",
            "Deferral to a later plan",
        ],
    ),
    (
        "Functions",
        &[
            "Functions of every type",
            "Variadic functions",
            "Functions of null and unknown arguments",
            "Errors at an argument of a function",
            "Errors of a function as a whole",
            "A deprecated function says what to use instead",
        ],
    ),
    (
        "Failures and time",
        &[
            "A create that fails half way leaves a tainted object",
            "An update that fails half way keeps what it came to",
            "A delete that fails keeps the object",
            "Timeouts",
        ],
    ),
    (
        "Secrets",
        &[
            "Write-only values at every level, stored nowhere",
            "A write-only value beside its version",
            "A write-only value that is needed once",
            "Write-only values in import, move and upgrade",
            "Sensitive values are not shown",
        ],
    ),
    (
        "What exists already",
        &[
            "Import by id",
            "Import by identity",
            "An identity that is unknown while planning",
            "A changed identity is refused",
            "A moved block takes over another resource type",
            "A moved block takes over another provider's object",
            "State of an older version",
            "Private data",
            "Configuration written for an imported object",
        ],
    ),
    (
        "Search",
        &[
            "A query finds what exists",
            "A query writes the configuration of what it finds",
        ],
    ),
    (
        "Ephemeral resources",
        &[
            "Every kind of attribute and block, in ephemeral resources",
            "Opened, renewed and closed",
            "Opened when its configuration is known, and good for a provider block",
        ],
    ),
    (
        "Actions and state stores",
        &[
            "An action triggered by a resource, with its progress",
            "An action invoked by hand",
            "An action that refuses its plan, and one that fails",
            "State stores",
        ],
    ),
    (
        "Tests",
        &[
            "Tests of a configuration, also with a mocked provider",
            "A provider's function in an assertion of a test",
        ],
    ),
];

const HEAD: &str = "# What works where

The provider framework under each tool, feature by feature. Where a tool lacks a feature, this is
what it says. The table is made from what ran: `scripts/test features` proves each row and compares
it with this file, and `HANSE_WRITE_COMPATIBILITY=1 scripts/test features` writes the file.
";

/// One test at a time may write.
static FILE: Mutex<()> = Mutex::new(());

/// The cells of each feature.
type Rows = BTreeMap<String, Vec<String>>;

/// Writes what came of a feature, or compares it with what is written.
pub(crate) fn record(name: &str, cells: Vec<String>) -> Result<()> {
    let _guard = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_listed = FEATURES
        .iter()
        .any(|(_, features)| features.contains(&name));
    ensure!(is_listed, "{name:?} is not listed among the features");
    let mut rows = read().unwrap_or_default();
    if std::env::var_os(WRITE_VARIABLE).is_none() {
        ensure!(
            rows.get(name) == Some(&cells),
            "{name:?} is {cells:?} now, and {:?} in {}",
            rows.get(name),
            path().display()
        );
        return Ok(());
    }
    rows.insert(name.to_owned(), cells);
    fs::write(path(), render(&rows)?).context("unable to write the table")
}

#[test]
fn the_table_has_a_row_for_each_feature_and_a_column_for_each_version() -> Result<()> {
    if std::env::var_os(WRITE_VARIABLE).is_some() {
        return Ok(());
    }
    let rows = read()?;
    let features = FEATURES.iter().flat_map(|(_, features)| *features);
    for feature in features.clone() {
        ensure!(rows.contains_key(*feature), "{feature:?} has no row");
    }
    ensure!(
        rows.len() == features.count(),
        "rows of no feature: {rows:?}"
    );
    let written = fs::read_to_string(path())?;
    ensure!(
        written == render(&rows)?,
        "the file is not as it was written"
    );
    Ok(())
}

fn render(rows: &Rows) -> Result<String> {
    let mut text = HEAD.to_owned();
    let versions = versions()?;
    for (group, features) in FEATURES {
        let columns = versions.join(" | ");
        writeln!(
            text,
            "\n## {group}\n\n| Feature | {columns} |\n|---|---|---|"
        )?;
        for feature in features {
            if let Some(cells) = rows.get(*feature) {
                writeln!(text, "| {feature} | {} |", cells.join(" | "))?;
            }
        }
    }
    Ok(text)
}

fn read() -> Result<Rows> {
    let text = fs::read_to_string(path()).with_context(|| path().display().to_string())?;
    let row = |line: &str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells = cells.split(" | ").map(str::to_owned);
        Some((cells.next()?, cells.collect()))
    };
    let rows = text.lines().filter_map(row);
    Ok(rows.filter(|(name, _)| name != "Feature").collect())
}

/// What each tool calls itself.
fn versions() -> Result<Vec<String>> {
    let laboratory = Laboratory::start(0)?;
    let version = |tool: Tool| {
        let terraform = Terraform::empty(&laboratory)?.with(tool);
        let said = terraform.run(["version", "-json"])?.success()?.json()?;
        let version = said["terraform_version"]
            .as_str()
            .context("a version is text")?;
        Ok(format!("{} {version}", name(tool)))
    };
    Tool::ALL.map(version).into_iter().collect()
}

fn name(tool: Tool) -> &'static str {
    match tool {
        Tool::Terraform => "Terraform",
        Tool::OpenTofu => "OpenTofu",
    }
}

fn path() -> PathBuf {
    hanse_acceptance::checkout::root().join("docs/compatibility.md")
}
