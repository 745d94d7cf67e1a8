//! What the program that starts a plugin says through the environment, and the line that it
//! expects in return.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const COOKIE_KEY: &str = "TF_PLUGIN_MAGIC_COOKIE";
const COOKIE_VALUE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
const CLIENT_CERTIFICATE_KEY: &str = "PLUGIN_CLIENT_CERT";
const VERSIONS_KEY: &str = "PLUGIN_PROTOCOL_VERSIONS";
const SOCKET_FOLDER_KEY: &str = "PLUGIN_UNIX_SOCKET_DIR";

/// The version of the handshake itself.
const CORE_VERSION: u32 = 1;

/// The version of the plugin protocol.
const PROTOCOL_VERSION: u32 = 6;

/// How the provider was started.
pub(super) enum Start {
    /// By Terraform.
    Plugin(Handshake),
    /// By a person, to be used by a Terraform started elsewhere.
    Debug { address: String },
}

/// What Terraform said.
pub(super) struct Handshake {
    /// The one certificate that may connect.
    pub(super) client_certificate: Option<CertificateDer<'static>>,
    socket_folder: Option<PathBuf>,
}

/// Why the provider doesn't start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "This program is the Terraform provider {0}; Terraform starts it by itself when a configuration needs it."
    )]
    NoCookie(String),
    #[error(
        "This provider speaks version 6 of the plugin protocol, and the caller offers {0}; use Terraform 1.0 or newer."
    )]
    Version(String),
    #[error(
        "The certificate in PLUGIN_CLIENT_CERT can't be read; start the provider by Terraform."
    )]
    Certificate,
}

impl Start {
    pub(super) fn socket_folder(&self) -> Option<&Path> {
        match self {
            Self::Plugin(handshake) => handshake.socket_folder.as_deref(),
            Self::Debug { .. } => None,
        }
    }
}

/// How this process was started.
pub(super) fn start(address: &str) -> Result<Start, Refusal> {
    if env::args_os()
        .skip(1)
        .any(|argument| argument == "--debug" || argument == "-debug")
    {
        return Ok(Start::Debug {
            address: address.to_owned(),
        });
    }
    read(address, |key| env::var_os(key)).map(Start::Plugin)
}

/// The answer to the handshake.
pub(super) fn line(socket: &Path, certificate: &str) -> String {
    format!(
        "{CORE_VERSION}|{PROTOCOL_VERSION}|unix|{}|grpc|{certificate}",
        socket.display()
    )
}

/// The server's certificate as the line carries it.
pub(super) fn certificate_text(certificate: &CertificateDer<'_>) -> String {
    STANDARD_NO_PAD.encode(certificate)
}

fn read(address: &str, get: impl Fn(&str) -> Option<OsString>) -> Result<Handshake, Refusal> {
    let text = |key: &str| get(key).map(|value| value.to_string_lossy().into_owned());
    if text(COOKIE_KEY).as_deref() != Some(COOKIE_VALUE) {
        return Err(Refusal::NoCookie(address.to_owned()));
    }
    // A caller that names no versions speaks whatever is answered.
    if let Some(versions) = text(VERSIONS_KEY).filter(|versions| !versions.is_empty())
        && !versions
            .split(',')
            .any(|version| version.trim().parse() == Ok(PROTOCOL_VERSION))
    {
        return Err(Refusal::Version(versions));
    }
    let client_certificate = text(CLIENT_CERTIFICATE_KEY)
        .filter(|pem| !pem.is_empty())
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()))
        .transpose()
        .map_err(|_| Refusal::Certificate)?;
    let socket_folder = get(SOCKET_FOLDER_KEY).filter(|folder| !folder.is_empty());
    Ok(Handshake {
        client_certificate,
        socket_folder: socket_folder.map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Handshake, Refusal> {
        read("example.com/acme/notes", |key| {
            pairs
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn without_the_cookie_it_says_what_it_is() {
        let refusal = with(&[]).err().unwrap();
        assert!(
            refusal
                .to_string()
                .contains("Terraform provider example.com/acme/notes")
        );
        assert!(with(&[(COOKIE_KEY, "wrong")]).is_err());
        assert!(with(&[(COOKIE_KEY, COOKIE_VALUE)]).is_ok());
    }

    #[test]
    fn a_caller_without_version_six_is_refused() {
        let offer = |versions| with(&[(COOKIE_KEY, COOKIE_VALUE), (VERSIONS_KEY, versions)]);
        assert_eq!(offer("4,5").err(), Some(Refusal::Version("4,5".to_owned())));
        assert!(offer("5,6").is_ok());
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let refusal = with(&[
            (COOKIE_KEY, COOKIE_VALUE),
            (CLIENT_CERTIFICATE_KEY, "no PEM"),
        ]);
        assert_eq!(refusal.err(), Some(Refusal::Certificate));
    }
}
