//! Programs of others that run as long as a test does.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A process that ends with the test.
pub(crate) struct Peer {
    child: Child,
}

impl Peer {
    /// Starts a program and waits until it says `ready` on its standard error.
    ///
    /// # Panics
    ///
    /// It can't be started: the message names the command that installs it.
    pub(crate) fn start(mut command: Command, package: &str, ready: &str) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "unable to start {:?} ({error}): {}",
                    command.get_program(),
                    install(package)
                )
            });
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        let ready = ready.to_owned();
        // It goes on reading, so that the program never waits for it.
        std::thread::spawn(move || {
            let mut said = Vec::new();
            for line in lines.map_while(Result::ok) {
                let is_ready = line.contains(&ready);
                said.push(line);
                if is_ready {
                    let _ = sender.send(Ok(()));
                }
            }
            let _ = sender.send(Err(said.join("\n")));
        });
        let mut peer = Self { child };
        match receiver.recv().unwrap() {
            Ok(()) => Ok(peer),
            Err(said) => {
                peer.stop();
                Err(said)
            }
        }
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How to install a Debian package.
pub(crate) fn install(package: &str) -> String {
    format!("run `sudo apt-get install --no-install-recommends {package}`, or `scripts/tools`")
}

/// A command that is looked for where Debian has those of administrators too.
pub(crate) fn program(name: &str) -> Command {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let found = folders.map(|folder| Path::new(folder).join(name));
    let found = found.iter().find(|path| path.is_file());
    Command::new(found.map_or(Path::new(name), |path| path.as_path()))
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
