//! Objects as JSON files in a folder, and a log of what happened.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use terraform_plugin::value::UnknownAttributes;
use terraform_plugin::{Attr, Diagnostic, Model, Path, Value};

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// A model of objects that are kept under their name.
pub(crate) trait Kept: Model + Clone {
    /// How their files begin.
    const KIND: &'static str;

    /// What one is called.
    fn name(&self) -> &Attr<String>;
}

impl Store {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes an object, as it is.
    pub(crate) fn save<M: Kept>(&self, object: &M) -> Result<(), Diagnostic> {
        let path = self.path::<M>(object.name());
        let json = object
            .clone()
            .into_value()
            .to_json(&M::block().value_type());
        let json = json.map_err(|error| unable("write", M::KIND, error))?;
        fs::write(path, json).map_err(|error| unable("write", M::KIND, error))
    }

    /// The object of a name as its file is now.
    pub(crate) fn load<M: Kept>(&self, name: &Attr<String>) -> Result<Option<M>, Diagnostic> {
        let json = match fs::read(self.path::<M>(name)) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unable("read", M::KIND, error)),
        };
        let of = M::block().value_type();
        let value = Value::from_json(&json, &of, UnknownAttributes::Ignore)
            .map_err(|error| unable("read", M::KIND, error))?;
        M::from_value(value)
            .map(Some)
            .map_err(terraform_plugin::Undecodable::into_diagnostic)
    }

    /// Removes an object. One that is gone already is fine.
    pub(crate) fn remove<M: Kept>(&self, name: &Attr<String>) -> Result<(), Diagnostic> {
        match fs::remove_file(self.path::<M>(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unable("delete", M::KIND, error))
            }
            _ => Ok(()),
        }
    }

    /// The names of all objects, sorted.
    pub(crate) fn names<M: Kept>(&self) -> Result<Vec<String>, Diagnostic> {
        let entries = fs::read_dir(&self.folder);
        let entries = entries.map_err(|error| unable("list", M::KIND, error))?;
        let prefix = format!("{}.", M::KIND);
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|file| {
                let name = file.strip_prefix(&prefix)?.strip_suffix(".json")?;
                Some(name.to_owned())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Adds a line to the log.
    pub(crate) fn note(&self, line: &str) -> Result<(), Diagnostic> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        log.and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()))
            .map_err(|error| unable("write", "the log", error))
    }

    /// How many lines of the log are this one.
    pub(crate) fn noted(&self, line: &str) -> usize {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().filter(|noted| *noted == line).count()
    }

    fn path<M: Kept>(&self, name: &Attr<String>) -> PathBuf {
        let name = name.as_known().map_or("", String::as_str);
        self.folder.join(format!("{}.{name}.json", M::KIND))
    }
}

/// What can be part of the name of a file.
pub(crate) fn file_name(name: &str) -> Result<(), String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name: write letters, digits and hyphens."
    ))
}

fn unable(action: &str, what: &str, error: impl ToString) -> Diagnostic {
    Diagnostic::error(format!("Unable to {action} {what}"), error.to_string())
        .at(Path::root("name"))
}
