//! Backups of a DR plan's workload, from which it can be restored as it was at an earlier time.
//!
//! No secret is here but [`Password`], which is never printed and in no state: the plan says which one
//! is meant, and the state has that one sealed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// How often a backup is made, unless declared otherwise.
pub const INTERVAL_DEFAULT: &str = "6h";
/// How far back a restore is possible, unless declared otherwise.
pub const RETENTION_DEFAULT: &str = "168h";
/// What a repository is encrypted with is at least and at most so long, in bytes.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 16..=512;
const S3: &str = "s3:";
const HTTPS_PORT: u16 = 443;

/// Backups of a plan's workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Where they are kept.
    pub repository: Repository,
    /// How often one is made.
    pub interval: Span,
    /// How far back a restore is possible.
    pub retention: Span,
    /// A file on each node with what else the repository asks for, a line `NAME=value` each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_file: Option<String>,
    /// Which password they are encrypted with.
    pub password_version: u64,
}

/// Where backups are kept. It keeps its writer's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    text: String,
    place: Place,
}

/// What a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder that every node sees.
    Folder(String),
    /// A bucket of S3 or of what speaks as it does.
    S3 {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// The bucket.
        bucket: String,
        /// Where in the bucket, beginning with a slash.
        path: String,
    },
}

/// Why a text names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no repository: {reason}")]
pub struct RepositoryError {
    text: String,
    reason: &'static str,
}

/// What a repository is encrypted with. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why bytes are no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Anybody could guess it, or nobody could keep it.
    #[error("a password of backups has {} to {} bytes", PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end())]
    Length,
    /// It would not survive a file of lines.
    #[error("a password of backups has only visible characters of ASCII, and no spaces")]
    Characters,
}

impl Repository {
    /// What it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let place = place(text).map_err(|reason| RepositoryError {
            text: text.escape_debug().to_string(),
            reason,
        })?;
        let text = text.to_owned();
        Ok(Self { text, place })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Repository {
    type Error = RepositoryError;

    fn try_from(text: String) -> Result<Self, RepositoryError> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.text
    }
}

impl Password {
    /// Reads one, as it was given.
    ///
    /// # Errors
    ///
    /// It is too short, or holds what no file of lines could.
    pub fn try_new(bytes: &[u8]) -> Result<Self, PasswordError> {
        if !PASSWORD_LENGTH.contains(&bytes.len()) {
            return Err(PasswordError::Length);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(text.to_owned()))
            }
            Ok(_) | Err(_) => Err(PasswordError::Characters),
        }
    }

    /// The password itself, for whoever writes it into a file of its own.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

fn place(text: &str) -> Result<Place, &'static str> {
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || b"\"'\\`$#,;".contains(&byte);
    if text.bytes().any(is_odd) {
        return Err(
            "it has spaces, quotes or other characters that a configuration file has a use for",
        );
    }
    if text.split('/').any(|part| part == "..") {
        return Err("it leads outside with `..`");
    }
    if let Some(rest) = text.strip_prefix(S3) {
        return s3(rest);
    }
    match text.starts_with('/') && !text.trim_matches('/').is_empty() {
        true => Ok(Place::Folder(format!("/{}", text.trim_matches('/')))),
        false => Err(
            "write the absolute path of a folder that every node mounts, or \
             s3:https://HOST/BUCKET/PATH",
        ),
    }
}

fn s3(rest: &str) -> Result<Place, &'static str> {
    const SHAPE: &str = "write it as s3:https://HOST[:PORT]/BUCKET[/PATH], without a user";
    let rest = rest.strip_prefix("https://").ok_or(SHAPE)?;
    let mut parts = rest.splitn(3, '/');
    let (server, bucket) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let path = parts.next().unwrap_or_default().trim_matches('/');
    let (host, port) = match server.rsplit_once(':') {
        None => (server, HTTPS_PORT),
        Some((host, port)) => (host, port.parse().map_err(|_| SHAPE)?),
    };
    let is_of = |text: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !text.is_empty() && text.bytes().all(known)
    };
    if !is_of(host) || !is_of(bucket) || port == 0 {
        return Err(SHAPE);
    }
    Ok(Place::S3 {
        host: host.to_owned(),
        port,
        bucket: bucket.to_owned(),
        path: format!("/{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(text: &str) -> Option<Place> {
        let read: Option<Repository> = text.parse().ok();
        read.map(|repository| repository.place)
    }

    #[test]
    fn a_folder_or_a_bucket_is_a_repository() {
        let folder = Place::Folder("/srv/backups".to_owned());
        assert_eq!(place_of("/srv/backups/"), Some(folder));
        let s3 = |port, path: &str| {
            Some(Place::S3 {
                host: "s3.eu-central-1.amazonaws.com".to_owned(),
                port,
                bucket: "acme".to_owned(),
                path: path.to_owned(),
            })
        };
        let server = "s3:https://s3.eu-central-1.amazonaws.com";
        assert_eq!(place_of(&format!("{server}/acme")), s3(443, "/"));
        assert_eq!(
            place_of(&format!("{server}:9000/acme/db/")),
            s3(9000, "/db")
        );
        let kept: Repository = "/srv/backups/".parse().unwrap();
        assert_eq!(kept.to_string(), "/srv/backups/");
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        let refused = [
            "",
            "/",
            "srv",
            "/srv/../etc",
            "/srv/a b",
            "/srv/it's",
            "sftp:host:/srv",
            "s3:http://host/bucket",
            "s3:https://host",
            "s3:https://me@host/bucket",
            "s3:https://host:x/bucket",
            "s3:https:///bucket",
            "/srv/a\nrepo1-type=s3",
        ];
        for text in refused {
            assert_eq!(place_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_password_is_long_enough_and_is_never_printed() {
        let password = Password::try_new(b"correct-horse-battery").unwrap();
        assert_eq!(format!("{password:?}"), "Password(redacted)");
        assert_eq!(Password::try_new(b"too-short"), Err(PasswordError::Length));
        let line = Password::try_new(b"correct horse battery");
        assert_eq!(line, Err(PasswordError::Characters));
        assert_eq!(
            Password::try_new(&[0xff; 20]),
            Err(PasswordError::Characters)
        );
    }
}
