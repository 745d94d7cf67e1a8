//! Where a server runs that must touch nothing: a drill's copy, and what was restored. Namespaces whose
//! processes end together and write to their own folders alone, and a folder that goes with them.
//!
//! A process of its own keeps both. It waits for nothing but the end of whoever started it, which closes
//! its pipe however that ends; then it kills the first process of the namespace, with which the kernel
//! kills all others, and removes the folder. If it is killed itself, its own pipe closes, and the first
//! process ends by that.

mod keeper;
mod mounts;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::away::away;
use crate::said::Lines;
use crate::trouble::Trouble;
use crate::user::User;

pub(crate) use self::keeper::remove;
pub use self::keeper::{run_cage, run_first};

/// How long it may take until it stands, and until nothing of it is left.
const BEGIN_MAX: Duration = Duration::from_secs(10);
const END_MAX: Duration = Duration::from_secs(60);
/// Before the number of the first process.
const STANDS: &str = "stands ";
/// Where servers' sockets usually are.
const RUN: &str = "/run";
/// The same, which everybody writes to.
const OPEN: [&str; 2] = ["/tmp", "/dev/shm"];
/// What programs of a drill give way to.
const GENTLY: [&str; 6] = ["nice", "-n", "19", "ionice", "-c", "3"];

/// What a cage is to be.
pub(crate) struct Caging<'a> {
    /// What calls [`run_cage`]; what that needs is added to it.
    pub(crate) command: &'a [String],
    /// The cage's own, which goes with it.
    pub(crate) folder: &'a Path,
    /// What else is written to inside, and stays.
    pub(crate) others: &'a [PathBuf],
    /// What runs inside reaches others over the network.
    pub(crate) has_network: bool,
    /// What runs inside gives way to everybody else.
    pub(crate) is_gentle: bool,
}

/// A cage that stands. Dropped, it goes by itself.
pub(crate) struct Cage {
    keeper: Child,
    /// Its keeper lives as long as this is open.
    pipe: Option<ChildStdin>,
    first: u32,
    folder: PathBuf,
    is_gentle: bool,
}

impl Cage {
    /// Has one made.
    pub(crate) async fn begin(caging: &Caging<'_>) -> Result<Self, Trouble> {
        let [program, arguments @ ..] = caging.command else {
            return Err(Trouble("the command that keeps a cage is empty".to_owned()));
        };
        let failed = |why: String| {
            let folder = caging.folder.display();
            Trouble(format!("unable to make a place apart in {folder}: {why}"))
        };
        let mut keeper = Command::new(program)
            .args(arguments)
            .args(caging.has_network.then_some("--with-network"))
            .arg(caging.folder)
            .args(caging.others)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // It ends by its pipe, after it has cleaned up.
            .kill_on_drop(false)
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let pipe = keeper.stdin.take();
        let output = keeper
            .stdout
            .take()
            .ok_or_else(|| failed("it has no pipe".to_owned()))?;
        let mut lines = Lines::of(output);
        let first = async {
            while let Some(line) = lines.next().await {
                let told = line.trim().split_once(STANDS);
                if let Some(first) = told.and_then(|(_, number)| number.parse().ok()) {
                    return Some(first);
                }
            }
            None
        };
        let first = timeout(BEGIN_MAX, first).await.ok().flatten();
        let first = first.ok_or_else(|| {
            failed("its keeper did not make it, and its last words say why".to_owned())
        })?;
        Ok(Self {
            keeper,
            pipe,
            first,
            folder: caging.folder.to_owned(),
            is_gentle: caging.is_gentle,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program inside, as a user; it ends with whoever waits for it.
    pub(crate) fn program(&self, user: &User, program: &Path) -> Command {
        let mut command = self.inside();
        command
            // Without a way back.
            .args(["setpriv", "--no-new-privs", "--"])
            .args(user.words())
            .args(GENTLY.iter().filter(|_| self.is_gentle))
            .arg(program)
            .env("HOME", &user.home);
        command
    }

    /// What starts a program that ends with the cage, and still reaches others and writes everywhere.
    pub(crate) fn starter(&self) -> Vec<String> {
        let first = self.first.to_string();
        let words = ["nsenter", "--target", &first, "--pid", "--"];
        let words = words.iter().chain(&GENTLY);
        words.map(|word| (*word).to_owned()).collect()
    }

    /// Covers the folders in which other servers' sockets usually are, and `also`, but what the cage itself
    /// is in: from here on nothing inside gets to any server of this host.
    pub(crate) async fn cover_sockets(&self, also: &[&Path]) -> Result<(), Trouble> {
        let closed = also.iter().copied().chain([Path::new(RUN)]);
        let closed = closed.map(|folder| (folder, false));
        let open = OPEN.map(|folder| (Path::new(folder), true));
        for (folder, is_open) in closed.chain(open) {
            if folder.is_dir() && !self.folder.starts_with(folder) {
                self.cover(folder, is_open).await?;
            }
        }
        Ok(())
    }

    /// Covers a folder with an empty one: nothing inside gets to what is in there any more. `open`:
    /// everybody inside may write there.
    async fn cover(&self, folder: &Path, open: bool) -> Result<(), Trouble> {
        let options = match open {
            true => "size=64m,mode=1777",
            false => "size=1m,mode=0755",
        };
        let mut command = self.inside();
        command
            .args(["mount", "--no-mtab", "-t", "tmpfs", "-o", options, "cage"])
            .arg(folder);
        crate::postgresql::check("cover what must not be reached", &mut command).await
    }

    /// Puts a folder in the place of another one, for those inside.
    pub(crate) async fn replace(&self, folder: &Path, by: &Path) -> Result<(), Trouble> {
        let mut command = self.inside();
        command
            .args(["mount", "--no-mtab", "--bind"])
            .args([by, folder]);
        let what = format!("put {} in place of {}", by.display(), folder.display());
        crate::postgresql::check(&what, &mut command).await
    }

    fn inside(&self) -> Command {
        // The first to go when memory runs out.
        let mut command = Command::new("choom");
        command
            .args(["-n", "500", "--", "nsenter"])
            .args(["--target", &self.first.to_string()])
            .args(["--pid", "--net", "--mount", "--ipc", "--"])
            .env_clear()
            .envs([
                ("LC_ALL", "C.UTF-8"),
                ("PATH", crate::call::PATH),
                ("TZ", "UTC"),
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Ends all that is in it, and returns once nothing is left.
    pub(crate) async fn end(mut self) -> Result<(), Trouble> {
        drop(self.pipe.take());
        let ended = timeout(END_MAX, self.keeper.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_) | Err(_)) => {
                let folder = self.folder.clone();
                away(move || remove(&folder)).await
            }
            Err(_) => Err(Trouble(format!(
                "what ran in {} did not end, or was not removed, within {END_MAX:?}: the folder stays \
                 until then",
                self.folder.display()
            ))),
        }
    }
}
