//! What is in a folder and in a snapshot, so that the two can be compared by something else than what
//! copied one to the other.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use serde::Deserialize;

use super::place::away;
use crate::trouble::Trouble;

/// Names within the folder, each with its kind and the size of a file.
pub(super) type Tree = BTreeMap<String, (String, u64)>;

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
}

/// What restic lists of a snapshot, a line of JSON for each entry.
pub(super) fn listed(lines: &[u8]) -> Result<Tree, Trouble> {
    let mut tree = Tree::new();
    for line in lines.split(|byte| *byte == b'\n') {
        // The first line tells of the snapshot itself, and has no path.
        let Ok(node) = serde_json::from_slice::<Node>(line) else {
            if line.is_empty() || serde_json::from_slice::<Paths>(line).is_ok() {
                continue;
            }
            return Err(Trouble(format!(
                "restic lists a snapshot in words that are not known: {}",
                String::from_utf8_lossy(&line[..line.len().min(200)])
            )));
        };
        // A socket is nothing without who made it, and restic restores none.
        if node.kind != "socket" {
            let name = legible(node.path.trim_start_matches('/'));
            tree.insert(name, (node.kind, node.size));
        }
    }
    Ok(tree)
}

#[derive(Deserialize)]
struct Paths {
    #[serde(rename = "paths")]
    _paths: Vec<String>,
}

/// What is in a folder.
pub(super) async fn walked(folder: &Path) -> Result<Tree, Trouble> {
    let folder = folder.to_owned();
    away(move || {
        let mut tree = Tree::new();
        walk(&folder, "", &mut tree)?;
        Ok(tree)
    })
    .await
}

/// The first difference; none: both are the same.
pub(super) fn difference(wanted: &Tree, found: &Tree) -> Option<String> {
    let lacks = wanted
        .iter()
        .find_map(|(name, wanted)| match found.get(name) {
            None => Some(format!("`{name}` is missing")),
            Some(found) if found != wanted => Some(format!(
                "`{name}` is a {} of {} bytes, and not a {} of {}",
                found.0, found.1, wanted.0, wanted.1
            )),
            Some(_) => None,
        });
    let extra = || found.keys().find(|name| !wanted.contains_key(*name));
    lacks.or_else(|| extra().map(|name| format!("`{name}` is in it and not in the snapshot")))
}

fn walk(folder: &Path, within: &str, tree: &mut Tree) -> Result<(), Trouble> {
    let trouble = |error: std::io::Error| Trouble::io("read", folder, &error);
    for entry in fs::read_dir(folder).map_err(trouble)? {
        let entry = entry.map_err(trouble)?;
        let metadata = entry.metadata().map_err(trouble)?;
        let name = legible(&entry.file_name().to_string_lossy());
        let name = match within {
            "" => name,
            within => format!("{within}/{name}"),
        };
        let kind = metadata.file_type();
        let (kind, size) = match () {
            () if kind.is_dir() => ("dir", 0),
            () if kind.is_symlink() => ("symlink", 0),
            () if kind.is_fifo() => ("fifo", 0),
            () if kind.is_block_device() => ("dev", 0),
            () if kind.is_char_device() => ("chardev", 0),
            () => ("file", metadata.len()),
        };
        tree.insert(name.clone(), (kind.to_owned(), size));
        if kind == "dir" {
            walk(&entry.path(), &name, tree)?;
        }
    }
    Ok(())
}

/// A name in which each run of what is no text is one sign: those who list write it differently.
fn legible(name: &str) -> String {
    let mut legible = String::with_capacity(name.len());
    for char in name.chars() {
        if char != char::REPLACEMENT_CHARACTER || !legible.ends_with(char) {
            legible.push(char);
        }
    }
    legible
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] =
        br#"{"time":"2026-01-01T00:00:00Z","tree":"ab","paths":["/srv"],"struct_type":"snapshot"}
{"name":"a","type":"dir","path":"/a","struct_type":"node"}
{"name":"b","type":"file","path":"/a/b","size":3,"struct_type":"node"}
{"name":"s","type":"socket","path":"/a/s","struct_type":"node"}
"#;

    #[tokio::test]
    async fn what_was_restored_is_compared_with_the_snapshots_own_list() {
        let wanted = listed(LINES).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let told = |found: &Tree| difference(&wanted, found);
        let found = walked(folder.path()).await.unwrap();
        assert_eq!(told(&found).unwrap(), "`a/b` is missing");
        fs::write(folder.path().join("a/b"), "long").unwrap();
        let found = walked(folder.path()).await.unwrap();
        assert!(told(&found).unwrap().contains("of 4 bytes"));
        fs::write(folder.path().join("a/b"), "abc").unwrap();
        let found = walked(folder.path()).await.unwrap();
        assert_eq!(told(&found), None);
        fs::write(folder.path().join("c"), "").unwrap();
        let found = walked(folder.path()).await.unwrap();
        assert!(told(&found).unwrap().contains("`c` is in it"));
    }

    #[test]
    fn a_list_in_other_words_is_no_empty_list() {
        assert!(listed(b"Fatal: no\n").is_err());
    }
}
