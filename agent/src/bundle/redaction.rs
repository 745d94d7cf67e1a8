//! Takes secrets out of texts: those that are known on this machine, whatever stands around them, and
//! whatever looks like one.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hanse_core::hexadecimal;

use crate::data::{DataFolder, file};
use crate::follower::plan_file;

/// Stands where a secret stood.
const REDACTED: &str = "(redacted)";
/// The largest file in which secrets are looked for.
const LENGTH_MAX: u64 = 1 << 20;
/// A shorter line of a key file tells nothing, and would be found everywhere.
const SECRET_LENGTH_MIN: usize = 16;
/// How deep the data folder is looked through.
const DEPTH_MAX: usize = 4;
/// Begins a join token.
const TOKEN: &str = "hanse1.";
/// Begins and ends a private key.
const KEY_BEGINS: &str = "-----BEGIN ";
const KEY_NAMED: &str = "PRIVATE KEY-----";

/// What must not be told.
#[derive(Default)]
pub struct Redaction {
    /// The longest first, so that none hides a part of another.
    secrets: Vec<String>,
}

impl Redaction {
    /// What a data folder and a file of credentials hold.
    #[must_use]
    pub fn knowing(folder: Option<&DataFolder>, credentials: Option<&Path>) -> Self {
        let mut found = Self::default();
        if let Some(folder) = folder {
            for path in key_files(folder.path(), DEPTH_MAX) {
                found.learn_file(&path);
            }
            found.learn_plan(folder);
        }
        if let Some(path) = credentials {
            found.learn_file(path);
        }
        found
            .secrets
            .sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.secrets.dedup();
        found
    }

    /// The text without them.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        without_tokens(&without_keys(&text))
    }

    /// Every line of a file that holds a key, and what it encodes.
    fn learn_file(&mut self, path: &Path) {
        let Ok(content) = file::read_bounded(path, LENGTH_MAX) else {
            return;
        };
        let Ok(text) = std::str::from_utf8(&content) else {
            self.learn_bytes(&content);
            return;
        };
        let mut is_certificate = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with(KEY_BEGINS) {
                is_certificate = !line.contains(KEY_NAMED);
            }
            if is_certificate || line.starts_with("---") || line.len() < SECRET_LENGTH_MIN {
                continue;
            }
            self.secrets.push(line.to_owned());
            if let Some(bytes) = hexadecimal::decode(line).or_else(|| STANDARD.decode(line).ok()) {
                self.learn_bytes(&bytes);
            }
        }
    }

    /// The pre-shared keys of the plan that was kept last.
    fn learn_plan(&mut self, folder: &DataFolder) {
        let Ok(Some(plan)) = plan_file::read(folder) else {
            return;
        };
        let peers = plan.meshes.iter().flat_map(|mesh| &mesh.peers);
        for peer in peers {
            self.learn_bytes(&peer.preshared_key);
        }
    }

    fn learn_bytes(&mut self, bytes: &[u8]) {
        if bytes.len() < SECRET_LENGTH_MIN {
            return;
        }
        let spellings = [
            STANDARD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
            hexadecimal::encode(bytes),
            hexadecimal::encode(bytes).to_uppercase(),
        ];
        self.secrets.extend(spellings);
    }
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redaction({} secrets)", self.secrets.len())
    }
}

/// The files in a folder whose name says that they hold a key.
fn key_files(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            // Of the entry itself: a link is not followed.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && depth > 0 {
                return key_files(&path, depth - 1);
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let holds_key = name.contains(".key") || name.contains("secret");
            if holds_key { vec![path] } else { Vec::new() }
        })
        .collect()
}

/// The text without private keys in PEM, whole or cut short, with line feeds as they are or escaped.
fn without_keys(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begins) = rest.find(KEY_BEGINS) {
        let (before, from) = rest.split_at(begins);
        let header_ends = from[KEY_BEGINS.len()..].find("-----");
        let header = header_ends.map(|at| &from[..at + KEY_BEGINS.len() + "-----".len()]);
        let Some(header) = header.filter(|header| header.ends_with(KEY_NAMED)) else {
            kept.push_str(before);
            kept.push_str(KEY_BEGINS);
            rest = &from[KEY_BEGINS.len()..];
            continue;
        };
        kept.push_str(before);
        kept.push_str(REDACTED);
        let content = &from[header.len()..];
        let ends = content.find(KEY_NAMED).map(|at| at + KEY_NAMED.len());
        rest = &content[ends.unwrap_or(content.len())..];
    }
    kept + rest
}

/// The text without join tokens.
fn without_tokens(text: &str) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begins) = rest.find(TOKEN) {
        let (before, token) = rest.split_at(begins);
        kept.push_str(before);
        kept.push_str(REDACTED);
        let ends = token.find(|char| !is_part(char)).unwrap_or(token.len());
        rest = &token[ends..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use hanse_client::proto;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_the_folder_holds_is_taken_out_in_every_spelling() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        fs::create_dir(parent.path().join("wireguard")).unwrap();
        let key = [7_u8; 32];
        fs::write(
            parent.path().join("wireguard/core.key"),
            STANDARD.encode(key) + "\n",
        )
        .unwrap();
        let mut plan = proto::NodePlan::default();
        plan.meshes.push(proto::MeshPlan {
            peers: vec![proto::PeerPlan {
                preshared_key: vec![9; 32],
                ..Default::default()
            }],
            ..Default::default()
        });
        plan_file::write(&folder, &plan).unwrap();
        let credentials = parent.path().join("admin.pem");
        let line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\nQ0VSVElGSUNBVEVTIEFSRSBQVUJMSUM\n-----END \
             CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"
        );
        fs::write(&credentials, pem).unwrap();
        let redaction = Redaction::knowing(Some(&folder), Some(&credentials));
        for secret in [
            STANDARD.encode(key),
            hexadecimal::encode(&key),
            STANDARD.encode([9; 32]),
            hexadecimal::encode(&[9; 32]).to_uppercase(),
            line.to_owned(),
        ] {
            let told = redaction.apply(&format!("before {secret} after"));
            assert_eq!(told, "before (redacted) after");
        }
        let public = "Q0VSVElGSUNBVEVTIEFSRSBQVUJMSUM";
        assert_eq!(redaction.apply(public), public, "certificates are public");
        assert!(!format!("{redaction:?}").contains(line));
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out_though_nobody_knows_it() {
        let redaction = Redaction::default();
        let token = "join hanse1.eyJ-_a.c2ln, then";
        assert_eq!(redaction.apply(token), "join (redacted), then");
        let escaped = r"x -----BEGIN EC PRIVATE KEY-----\nMIG\n-----END EC PRIVATE KEY----- y";
        assert_eq!(redaction.apply(escaped), "x (redacted) y");
        let cut = "-----BEGIN CERTIFICATE-----\nA\n-----BEGIN PRIVATE KEY-----\nMIG";
        assert_eq!(
            redaction.apply(cut),
            "-----BEGIN CERTIFICATE-----\nA\n(redacted)"
        );
    }

    proptest! {
        #[test]
        fn a_text_without_secrets_stays_as_it_is(text in "[a-zä\\-\n ]{0,200}") {
            prop_assert_eq!(Redaction::default().apply(&text), text);
        }
    }
}
