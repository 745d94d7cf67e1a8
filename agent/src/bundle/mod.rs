//! A debug bundle: what somebody needs who is to find out from afar what is wrong, in one file.
//!
//! All that goes in passes the redaction, and whatever can't be had is named instead. Nothing in
//! here asks the federation or changes anything.

mod redaction;
mod system;

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

pub use redaction::Redaction;
pub use system::{journal, listing, machine};

use crate::data::file;

/// The most of one text that goes in: the end of it.
const TEXT_LENGTH_MAX: usize = 4 << 20;
/// The most of a file that is read; much more than goes in, so that a secret that begins before the
/// part that is read does not.
const FILE_LENGTH_MAX: u64 = 16 << 20;
/// The folder that the bundle unpacks to.
const FOLDER: &str = "hanse-debug";

/// A bundle in the making.
#[derive(Debug)]
pub struct Bundle {
    redaction: Redaction,
    made_unix_s: u64,
    entries: Vec<(String, String)>,
    missing: Vec<String>,
}

impl Bundle {
    /// An empty one.
    #[must_use]
    pub fn new(redaction: Redaction, made_unix_s: u64) -> Self {
        Self {
            redaction,
            made_unix_s,
            entries: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Puts a text in, without what is secret in it.
    pub fn put(&mut self, name: &str, text: &str) {
        let text = self.redaction.apply(text);
        self.entries.push((name.to_owned(), end_of(&text)));
    }

    /// Puts JSON in.
    pub fn put_json(&mut self, name: &str, value: &Value) {
        self.put(name, &format!("{value:#}\n"));
    }

    /// Puts in what there is, or says why there is nothing.
    pub fn put_result(&mut self, name: &str, text: Result<String, String>) {
        match text {
            Ok(text) => self.put(name, &text),
            Err(reason) => self.lack(name, &reason),
        }
    }

    /// Puts a small file in.
    pub fn put_file(&mut self, name: &str, path: &Path) {
        self.put_read(name, path, file::read_bounded(path, FILE_LENGTH_MAX));
    }

    /// Puts the end of a log in.
    pub fn put_log(&mut self, name: &str, path: &Path) {
        self.put_read(name, path, file::read_end(path, FILE_LENGTH_MAX));
    }

    fn put_read(&mut self, name: &str, path: &Path, read: std::io::Result<Vec<u8>>) {
        let text = read.map(|content| String::from_utf8_lossy(&content).into_owned());
        let text = text.map_err(|error| format!("unable to read {}: {error}", path.display()));
        self.put_result(name, text);
    }

    /// Says that something is missing, and why.
    pub fn lack(&mut self, name: &str, reason: &str) {
        let reason = self.redaction.apply(reason);
        self.missing.push(format!("{name}: {reason}"));
    }

    /// What is missing, and why.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The whole of it as a compressed archive.
    pub fn finish(mut self) -> std::io::Result<Vec<u8>> {
        let mut missing = self.missing.join("\n");
        if missing.is_empty() {
            missing = "nothing".to_owned();
        }
        self.entries
            .push(("missing.txt".to_owned(), missing + "\n"));
        let encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut archive = tar::Builder::new(encoder);
        for (name, text) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            header.set_mtime(self.made_unix_s);
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())?;
        }
        let mut encoder = archive.into_inner()?;
        encoder.flush()?;
        encoder.finish()
    }
}

/// What happened last is at the end.
fn end_of(text: &str) -> String {
    if text.len() <= TEXT_LENGTH_MAX {
        return text.to_owned();
    }
    let mut start = text.len() - TEXT_LENGTH_MAX;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("(the beginning is left out)\n{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    fn unpacked(bytes: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        });
        entries.collect()
    }

    #[test]
    fn the_end_of_a_log_is_there_however_large_it_is() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        log.as_file().set_len(8 << 30).unwrap();
        log.seek(std::io::SeekFrom::End(0)).unwrap();
        log.write_all(b"\nit broke\n").unwrap();
        let mut bundle = Bundle::new(Redaction::default(), 7);
        bundle.put_log("log.txt", log.path());
        assert_eq!(bundle.missing(), [""; 0]);
        let found = unpacked(&bundle.finish().unwrap());
        assert!(found[0].1.ends_with("\nit broke\n"));
        assert!(found[0].1.len() <= TEXT_LENGTH_MAX + 100);
    }

    #[test]
    fn what_was_put_in_is_there_and_what_is_missing_is_named() {
        let mut bundle = Bundle::new(Redaction::default(), 7);
        bundle.put("a.txt", "hello");
        bundle.put_file("b.txt", Path::new("/nowhere"));
        bundle.put("c.txt", &"ä".repeat(TEXT_LENGTH_MAX));
        let found = unpacked(&bundle.finish().unwrap());
        assert_eq!(found[0], ("hanse-debug/a.txt".into(), "hello".into()));
        assert!(found[1].1.starts_with("(the beginning is left out)"));
        let (name, missing) = &found[2];
        assert_eq!(name, "hanse-debug/missing.txt");
        assert!(
            missing.contains("b.txt: unable to read /nowhere"),
            "{missing}"
        );
    }
}
