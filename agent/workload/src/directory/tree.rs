//! What is in a folder and in a snapshot, compared by something else than what copied one to the other.
//!
//! The snapshot's list is kept in a file as restic prints it, and read line by line; each name is looked up in
//! the folder: however many there are, none is held in memory but those that are no text.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::sync::mpsc;

use super::restic::{Restic, Snapshot};
use crate::away::away;
use crate::trouble::Trouble;

/// No line of a list is longer: a path has 4096 bytes at most, and a link's aim no more.
const LINE_MAX: usize = 256 << 10;
/// What restic may be ahead by, in pieces of a pipe.
const PIECES_AHEAD: usize = 16;

/// A kind, and the size of a file.
type Sort = (String, u64);

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Paths {
    #[serde(rename = "paths")]
    _paths: Vec<String>,
}

/// A folder that is compared with a list.
struct Comparison {
    folder: PathBuf,
    /// The beginning of a line whose end is not here yet.
    line: Vec<u8>,
    /// How many names were listed.
    count: u64,
    /// Names that are no text: those who list write them differently, and nothing is found by them.
    odd: BTreeMap<String, Sort>,
    difference: Option<String>,
}

/// What is in a snapshot, in restic's words, in a file that goes with this.
///
/// It is made before the snapshot is restored: that may take hours, and whoever publishes may have
/// forgotten the snapshot by then.
pub(super) struct List(PathBuf);

impl List {
    /// Keeps what is in a snapshot in a file; none: the snapshot was forgotten meanwhile.
    pub(super) async fn keep(
        restic: &Restic,
        snapshot: &Snapshot,
        path: &Path,
    ) -> Result<Option<Self>, Trouble> {
        let list = Self(path.to_owned());
        let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES_AHEAD);
        let path = path.to_owned();
        let writing = away(move || {
            let trouble = |error: io::Error| Trouble::io("write", &path, &error);
            let mut file = fs::File::create(&path).map_err(trouble)?;
            let mut length_bytes = 0;
            while let Some(piece) = pieces.blocking_recv() {
                length_bytes += piece.len() as u64;
                file.write_all(&piece).map_err(trouble)?;
            }
            Ok(length_bytes)
        });
        let listing = async {
            match snapshot.is_empty() {
                true => {
                    drop(sender);
                    Ok(())
                }
                false => restic.list(snapshot, sender).await,
            }
        };
        let (listed, written) = tokio::join!(listing, writing);
        listed?;
        // restic only warns of a snapshot that is not there.
        let is_there = written? > 0 || snapshot.is_empty();
        Ok(is_there.then_some(list))
    }

    /// The first difference from a folder in names, kinds and sizes; none: both are the same.
    pub(super) async fn difference(&self, folder: &Path) -> Result<Option<String>, Trouble> {
        let path = self.0.clone();
        let mut comparison = Comparison::new(folder);
        away(move || {
            let trouble = |error: io::Error| Trouble::io("read", &path, &error);
            let mut file = fs::File::open(&path).map_err(trouble)?;
            let mut piece = vec![0; 64 << 10];
            loop {
                match file.read(&mut piece).map_err(trouble)? {
                    0 => return comparison.end(),
                    length => comparison.take(&piece[..length])?,
                }
            }
        })
        .await
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// How many bytes the files of a folder have.
pub(super) async fn size_of(folder: &Path) -> Result<u64, Trouble> {
    let folder = folder.to_owned();
    away(move || {
        let mut bytes = 0u64;
        walk(&folder, |_, (_, size)| bytes = bytes.saturating_add(size))?;
        Ok(bytes)
    })
    .await
}

impl Comparison {
    fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            line: Vec::new(),
            count: 0,
            odd: BTreeMap::new(),
            difference: None,
        }
    }

    /// Takes what comes next of the list, wherever it is torn.
    fn take(&mut self, piece: &[u8]) -> Result<(), Trouble> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&rest[..end]);
            self.look_up(&line)?;
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        match self.line.len() > LINE_MAX {
            true => Err(unknown(&self.line)),
            false => Ok(()),
        }
    }

    fn look_up(&mut self, line: &[u8]) -> Result<(), Trouble> {
        // The first line tells of the snapshot itself, and has no path.
        let Ok(node) = serde_json::from_slice::<Node>(line) else {
            return match line.is_empty() || serde_json::from_slice::<Paths>(line).is_ok() {
                true => Ok(()),
                false => Err(unknown(line)),
            };
        };
        // A socket is nothing without who made it, and restic restores none.
        if node.kind == "socket" || self.difference.is_some() {
            return Ok(());
        }
        let name = node.path.trim_start_matches('/');
        let wanted = (node.kind, node.size);
        if is_odd(name) {
            self.odd.insert(legible(name), wanted);
            return Ok(());
        }
        self.count += 1;
        let path = self.folder.join(name);
        let found = match fs::symlink_metadata(&path) {
            Ok(metadata) => Some(sort(&metadata)),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(Trouble::io("read", &path, &error)),
        };
        self.difference = differs(name, &wanted, found.as_ref());
        Ok(())
    }

    /// Compares what was found with all that is there, once all was listed.
    fn end(mut self) -> Result<Option<String>, Trouble> {
        let line = std::mem::take(&mut self.line);
        self.look_up(&line)?;
        if self.difference.is_some() {
            return Ok(self.difference);
        }
        let mut count = 0u64;
        let mut odd = BTreeMap::new();
        walk(&self.folder, |name, found| {
            if is_odd(name) {
                odd.insert(legible(name), found);
            } else {
                count += 1;
            }
        })?;
        let mut wanted = self.odd.iter();
        let lacks = wanted.find_map(|(name, wanted)| differs(name, wanted, odd.get(name)));
        let extra = || odd.keys().find(|name| !self.odd.contains_key(*name));
        let extra = || extra().map(|name| format!("`{name}` is in it and not in the snapshot"));
        let more = || {
            let text = format!(
                "{count} names are in it, and {} in the snapshot",
                self.count
            );
            (count != self.count).then_some(text)
        };
        Ok(lacks.or_else(extra).or_else(more))
    }
}

fn differs(name: &str, wanted: &Sort, found: Option<&Sort>) -> Option<String> {
    match found {
        None => Some(format!("`{name}` is missing")),
        Some(found) if found != wanted => Some(format!(
            "`{name}` is a {} of {} bytes, and not a {} of {}",
            found.0, found.1, wanted.0, wanted.1
        )),
        Some(_) => None,
    }
}

/// Goes through all that is in a folder, however deep.
fn walk(root: &Path, mut see: impl FnMut(&str, Sort)) -> Result<(), Trouble> {
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, within)) = folders.pop() {
        let trouble = |error: io::Error| Trouble::io("read", &folder, &error);
        for entry in fs::read_dir(&folder).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            let metadata = entry.metadata().map_err(trouble)?;
            let name = entry.file_name();
            let name = match within.as_str() {
                "" => name.to_string_lossy().into_owned(),
                within => format!("{within}/{}", name.to_string_lossy()),
            };
            see(&name, sort(&metadata));
            if metadata.is_dir() {
                folders.push((entry.path(), name));
            }
        }
    }
    Ok(())
}

fn sort(metadata: &Metadata) -> Sort {
    let kind = metadata.file_type();
    let (kind, size) = match () {
        () if kind.is_dir() => ("dir", 0),
        () if kind.is_symlink() => ("symlink", 0),
        () if kind.is_fifo() => ("fifo", 0),
        () if kind.is_block_device() => ("dev", 0),
        () if kind.is_char_device() => ("chardev", 0),
        () => ("file", metadata.len()),
    };
    (kind.to_owned(), size)
}

fn is_missing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory
}

fn is_odd(name: &str) -> bool {
    name.contains(char::REPLACEMENT_CHARACTER)
}

/// A name in which each run of what is no text is one sign.
fn legible(name: &str) -> String {
    let mut legible = String::with_capacity(name.len());
    for char in name.chars() {
        if char != char::REPLACEMENT_CHARACTER || !legible.ends_with(char) {
            legible.push(char);
        }
    }
    legible
}

fn unknown(line: &[u8]) -> Trouble {
    Trouble(format!(
        "restic lists a snapshot in words that are not known: {}",
        String::from_utf8_lossy(&line[..line.len().min(200)])
    ))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    const FIRST: &str =
        r#"{"time":"2026-01-01T00:00:00Z","tree":"ab","paths":["/srv"],"struct_type":"snapshot"}"#;
    const LINES: &str = r#"
{"name":"a","type":"dir","path":"/a","struct_type":"node"}
{"name":"b","type":"file","path":"/a/b","size":3,"struct_type":"node"}
{"name":"s","type":"socket","path":"/a/s","struct_type":"node"}
"#;

    /// The difference from a list that comes in pieces.
    fn told(folder: &Path, lines: &str, piece_bytes: usize) -> Option<String> {
        let mut comparison = Comparison::new(folder);
        let text = format!("{FIRST}{lines}");
        for piece in text.as_bytes().chunks(piece_bytes) {
            comparison.take(piece).unwrap();
        }
        comparison.end().unwrap()
    }

    #[test]
    fn what_was_restored_is_compared_with_the_snapshots_own_list() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let told = |piece_bytes| told(folder.path(), LINES, piece_bytes);
        assert_eq!(told(1000).unwrap(), "`a/b` is missing");
        fs::write(folder.path().join("a/b"), "long").unwrap();
        assert!(told(1000).unwrap().contains("of 4 bytes"));
        fs::write(folder.path().join("a/b"), "abc").unwrap();
        for piece_bytes in [1, 7, 100, 1000] {
            assert_eq!(told(piece_bytes), None);
        }
        fs::write(folder.path().join("c"), "").unwrap();
        assert_eq!(told(7).unwrap(), "3 names are in it, and 2 in the snapshot");
        fs::remove_file(folder.path().join("c")).unwrap();
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        assert!(told(7).unwrap().starts_with("`a` is a file"));
    }

    #[test]
    fn names_that_are_no_text_are_compared_as_far_as_they_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"a\xff\xfeb");
        let lines = "\n{\"type\":\"file\",\"path\":\"/a\\ufffd\\ufffdb\",\"size\":1}";
        assert_eq!(
            told(folder.path(), lines, 9).unwrap(),
            "`a\u{fffd}b` is missing"
        );
        fs::write(folder.path().join(name), "1").unwrap();
        assert_eq!(told(folder.path(), lines, 9), None);
        let other = OsStr::from_bytes(b"\xff");
        fs::write(folder.path().join(other), "1").unwrap();
        assert_eq!(
            told(folder.path(), lines, 9).unwrap(),
            "`\u{fffd}` is in it and not in the snapshot"
        );
    }

    #[test]
    fn a_list_of_any_length_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = String::new();
        for number in 0..60_000 {
            // As long as restic's own lines, and more than 16 MiB of them.
            let padding = "x".repeat(250);
            let line =
                format!(r#"{{"type":"file","path":"/{number}","size":0,"name":"{padding}"}}"#);
            write!(lines, "\n{line}").unwrap();
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert!(lines.len() > 16 << 20, "{}", lines.len());
        assert_eq!(told(folder.path(), &lines, 16 << 10), None);
        fs::remove_file(folder.path().join("59999")).unwrap();
        assert_eq!(
            told(folder.path(), &lines, 16 << 10).unwrap(),
            "`59999` is missing"
        );
    }

    #[test]
    fn a_list_in_other_words_is_no_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        let mut comparison = Comparison::new(folder.path());
        assert!(comparison.take(b"Fatal: no\n").is_err());
        let mut torn = Comparison::new(folder.path());
        torn.take(br#"{"type":"file","path":"/a"#).unwrap();
        assert!(torn.end().is_err());
        let mut endless = Comparison::new(folder.path());
        let pieces = (0..100).map(|_| endless.take(&[b' '; 16 << 10]));
        assert!(pieces.into_iter().any(|taken| taken.is_err()));
    }
}
