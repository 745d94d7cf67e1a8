//! fakepve: the API of Proxmox VE without a cluster, over TLS, as real as one gets it on a desk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One expression a line, of which the value is printed.
const PROGRAM: &str = r#"
import asyncio, hashlib, json, sys, tempfile
from fakepve.certs import make_cert
from fakepve.server import FakePve

async def main():
    pve = FakePve(host='127.0.0.1', port=0)
    with tempfile.TemporaryDirectory() as folder:
        cert, key, der = make_cert(folder, hosts=('127.0.0.1',))
        pem = open(cert).read()
        await pve.start(cert, key)
    print(json.dumps([pve.port, hashlib.sha256(der).hexdigest(), pem]), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(eval(line), default=str), flush=True)

asyncio.run(main())
"#;

/// A cluster of Proxmox VE with one VM, 100, which is called `db-1` and runs on `pve1`.
pub(crate) struct Pve {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
    /// The SHA-256 of its certificate, in hexadecimal.
    pub(crate) fingerprint: String,
    pub(crate) pem: String,
}

impl Pve {
    pub(crate) const TOKEN_ID: &str = "hanse@pve!fence";
    pub(crate) const TOKEN: &str = "00000000-1111-2222-3333-444444444444";

    pub(crate) fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (port, fingerprint, pem): (u16, String, String) = serde_json::from_str(&line).unwrap();
        let mut pve = Self {
            child,
            stdin,
            stdout,
            url: format!("https://127.0.0.1:{port}"),
            fingerprint,
            pem,
        };
        pve.run("pve.add_vm(100, 'db-1', node='pve1', status='running')");
        pve.run(&format!(
            "pve.apitokens.update({{'{}': '{}'}})",
            Self::TOKEN_ID,
            Self::TOKEN
        ));
        pve
    }

    /// Evaluates an expression of Python, in which `pve` is the cluster.
    pub(crate) fn run(&mut self, expression: &str) -> String {
        writeln!(self.stdin, "{expression}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "fakepve ended at {expression}");
        line.trim().to_owned()
    }

    /// How the machine is.
    pub(crate) fn status(&mut self) -> String {
        self.run("pve.guest(100).status")
    }

    /// How often it was asked to stop.
    pub(crate) fn stops(&mut self) -> String {
        self.run("sum(path.endswith('/status/stop') for method, path, *_ in pve.requests)")
    }
}

impl Drop for Pve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `scripts/tools` puts it.
fn python() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or(variable("HOME").map(|home| home.join(".cache")));
    let cache = variable("HANSE_CACHE").or(cache.map(|cache| cache.join("hanse")));
    let python = cache.unwrap().join("tools/fakepve-venv/bin/python");
    assert!(
        python.is_file(),
        "fakepve is missing at {}: run `scripts/tools`",
        python.display()
    );
    python
}
