//! The table of terraform-provider-corner's cases says of each which test proves it, or why none
//! does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

#[test]
fn each_case_of_the_yardstick_is_proved_by_a_test_or_says_why_not() -> Result<()> {
    let root = hanse_acceptance::checkout::root();
    let framework = root.join("provider/framework/tests");
    let mut tests = BTreeSet::new();
    for folder in [root.join("acceptance/tests"), framework.clone()] {
        collect(&folder, &folder, &mut tests)?;
    }
    let path = framework.join("yardsticks/corner.tsv");
    let table = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rows: Vec<_> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    ensure!(rows.len() > 150, "only {} rows", rows.len());
    for row in rows {
        let columns: Vec<_> = row.split('\t').collect();
        let [_, case, _, _, result] = columns[..] else {
            bail!("not five columns: {row}");
        };
        match result.split_once(' ') {
            Some(("pass", test)) => ensure!(tests.contains(test), "{case}: there is no {test}"),
            Some(("differs:", why)) => ensure!(why.len() > 10, "{case}: {why:?} says little"),
            _ => bail!("{case}: {result:?} is no result"),
        }
    }
    Ok(())
}

/// The tests below a folder, each as `file::function`.
fn collect(root: &Path, folder: &Path, tests: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            collect(root, &path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root)?.with_extension("");
            let text = fs::read_to_string(&path)?;
            let mut is_test = false;
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    let name = rest.split('(').next().unwrap_or_default();
                    tests.insert(format!("{}::{name}", file.display()));
                }
                is_test = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            }
        }
    }
    Ok(())
}
