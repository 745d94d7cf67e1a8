//! House rules that no compiler and no linter enforces.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// `hanse-core` decides and never acts: nothing that it is built from may run, wait or speak.
const FORBIDDEN_IN_CORE: [&str; 12] = [
    "async-trait",
    "futures",
    "hyper",
    "mio",
    "prost",
    "rand",
    "redb",
    "rustix",
    "rustls",
    "tokio",
    "tonic",
    "tracing",
];

/// What stays behind when work is left half done, spelled so that this file is clean itself.
const LEFTOVERS: [(&str, &str); 6] = [
    ("#[ig", "nore"),
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("allow(dead_", "code)"),
    ("allow(unu", "sed"),
];

#[test]
fn core_is_built_from_nothing_that_acts() -> Result<()> {
    let crates = dependencies_of("hanse-core")?;
    ensure!(
        crates.contains("serde"),
        "the list of dependencies is not one: {crates:?}"
    );
    let found: Vec<_> = FORBIDDEN_IN_CORE
        .iter()
        .filter(|name| crates.contains(**name))
        .collect();
    assert!(found.is_empty(), "hanse-core depends on {found:?}");
    Ok(())
}

#[test]
fn the_tests_know_none_of_the_crates_that_they_test() -> Result<()> {
    let crates = dependencies_of("hanse-acceptance")?;
    let ours: Vec<_> = crates
        .iter()
        .filter(|name| name.starts_with("hanse") || name.starts_with("terraform"))
        .collect();
    assert_eq!(ours, ["hanse-acceptance"]);
    Ok(())
}

#[test]
fn nothing_is_left_half_done() -> Result<()> {
    let mut found = Vec::new();
    for path in sources()? {
        let text = fs::read_to_string(&path)?;
        for (first, second) in LEFTOVERS {
            let word = format!("{first}{second}");
            for (index, _) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(&word))
            {
                found.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() -> Result<()> {
    for path in tracked()?
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        let text = fs::read_to_string(&path)?;
        assert!(
            text.contains("[workspace]") || text.contains("[lints]\nworkspace = true"),
            "{} lacks `[lints] workspace = true`",
            path.display()
        );
    }
    Ok(())
}

#[test]
fn every_script_can_be_read_by_what_runs_it() -> Result<()> {
    let root = root();
    for folder in ["scripts", ".ci"] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let is_python = fs::read_to_string(&path)?.starts_with("#!/usr/bin/env python3");
            let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
            let (program, arguments) = match is_python {
                true => ("python3", &["-c", parse][..]),
                false => ("bash", &["-n"][..]),
            };
            let output = Command::new(program).args(arguments).arg(&path).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", path.display());
        }
    }
    Ok(())
}

fn dependencies_of(package: &str) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            package,
        ])
        .current_dir(root())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree failed: {said}");
    let names = String::from_utf8(output.stdout)?;
    Ok(names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

fn sources() -> Result<Vec<PathBuf>> {
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|extension| {
            ["rs", "proto", "tf", "toml"]
                .iter()
                .any(|known| extension == *known)
        })
    };
    Ok(tracked()?.into_iter().filter(is_source).collect())
}

/// All files that git knows and that are there.
fn tracked() -> Result<Vec<PathBuf>> {
    let root = root();
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .output()
        .context("unable to run git")?;
    let names = String::from_utf8(output.stdout)?;
    let paths: Vec<_> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root.join(name))
        .filter(|path| path.is_file())
        .collect();
    ensure!(
        !paths.is_empty(),
        "git lists no files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(paths)
}

fn root() -> PathBuf {
    hanse_acceptance::checkout::root()
}
