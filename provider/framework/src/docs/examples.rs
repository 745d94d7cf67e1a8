//! The examples that pages show: whole configurations, kept in folders that say what they are of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of examples.
#[derive(Debug)]
pub(super) struct Examples(PathBuf);

impl Examples {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// An example as a block of Markdown; none where there is no such file.
    pub(super) fn code(&self, file: &str, language: &str) -> io::Result<Option<String>> {
        let text = read(&self.0.join(file))?;
        Ok(text.map(|text| format!("```{language}\n{}\n```\n", text.trim_end())))
    }
}

/// The text of a file; none where there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(because(path, &error)),
    }
}

/// The same error with the path that it is about.
pub(super) fn because(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
