//! The server's certificate. Nobody verifies it: copies prove to one another that they know the plan's
//! key, bound to the very connection (SCRAM with channel binding).

use std::path::{Path, PathBuf};

use super::layout::Server;
use crate::file;
use crate::trouble::Trouble;

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The certificate in a folder, made if there is none.
pub(crate) fn certificate(server: &Server, folder: &Path) -> Result<Certificate, Trouble> {
    let paths = Certificate {
        certificate: folder.join("server.crt"),
        key: folder.join("server.key"),
    };
    if paths.certificate.is_file() && paths.key.is_file() {
        return Ok(paths);
    }
    let made = rcgen::generate_simple_self_signed(vec!["hanse-postgresql".to_owned()])
        .map_err(|error| Trouble(format!("unable to make the server's certificate: {error}")))?;
    let files = [
        (&paths.key, made.signing_key.serialize_pem()),
        (&paths.certificate, made.cert.pem()),
    ];
    for (path, content) in files {
        file::write_atomically(path, server.own(), content.as_bytes())
            .map_err(|error| Trouble::io("write", path, &error))?;
    }
    Ok(paths)
}
