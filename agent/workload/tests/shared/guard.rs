//! A guard for tests: it runs what it is told to as a child in a mount namespace with the seal, under
//! leases that the test grants. It never lets a server write without one.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hanse_guard::{LetGo, Order, Process, Program, Status, StopSignal};
use hanse_workload::{Guard, GuardError};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

const STARTS_MAX: u64 = 5;

pub(crate) struct TestGuard {
    orders: mpsc::UnboundedSender<Asked>,
    serial: AtomicU64,
    status: watch::Receiver<Option<Status>>,
    pub(crate) lease: watch::Sender<Option<u64>>,
    let_go: Mutex<Vec<LetGo>>,
}

/// What is asked of it.
enum Asked {
    Order(Box<Order>),
    #[allow(dead_code, reason = "tests of servers do without")]
    Release(oneshot::Sender<Option<LetGo>>),
}

struct Keeper {
    /// Programs that run on.
    released: Vec<Child>,
    order: Option<Order>,
    child: Option<(Program, Child)>,
    starts: u64,
    failures: u64,
    ended: Option<String>,
    lease: watch::Receiver<Option<u64>>,
    status: watch::Sender<Option<Status>>,
}

impl TestGuard {
    pub(crate) fn new() -> Arc<Self> {
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let (lease, leases) = watch::channel(None);
        let (told, status) = watch::channel(None);
        let mut keeper = Keeper {
            released: Vec::new(),
            order: None,
            child: None,
            starts: 0,
            failures: 0,
            ended: None,
            lease: leases,
            status: told,
        };
        tokio::spawn(async move {
            keeper.tell(0);
            loop {
                let ended = async {
                    match &mut keeper.child {
                        Some((_, child)) => child.wait().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    order = ordered.recv() => match order {
                        Some(Asked::Order(order)) => {
                            keeper.failures = 0;
                            keeper.order = Some(*order);
                        }
                        Some(Asked::Release(answer)) => {
                            let _ = answer.send(keeper.release());
                        }
                        None => return,
                    },
                    Ok(()) = keeper.lease.changed() => {}
                    status = ended => {
                        keeper.ended = Some(format!("{status:?}"));
                        keeper.child = None;
                        keeper.failures += 1;
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
                keeper.go().await;
            }
        });
        Arc::new(Self {
            let_go: Mutex::new(Vec::new()),
            orders,
            serial: AtomicU64::new(0),
            status,
            lease,
        })
    }
}

impl TestGuard {
    #[allow(dead_code, reason = "tests of servers do without")]
    /// Lets what runs run on, as when its plan ended; yields its process.
    pub(crate) async fn release(&self) -> u32 {
        let (answer, released) = oneshot::channel();
        assert!(self.orders.send(Asked::Release(answer)).is_ok());
        let released = released.await.unwrap().expect("nothing runs");
        self.let_go.lock().unwrap().push(released.clone());
        released.pid()
    }
}

impl Keeper {
    fn release(&mut self) -> Option<LetGo> {
        self.order = None;
        let (program, child) = self.child.take()?;
        let released = LetGo::of(child.id()?, program);
        self.released.push(child);
        self.tell(0);
        released
    }

    fn may_write(&self) -> bool {
        let lease = self.order.as_ref().and_then(|order| order.lease.as_ref());
        lease.is_some_and(|lease| *self.lease.borrow() == Some(lease.epoch))
    }

    async fn go(&mut self) {
        let Some(order) = self.order.clone() else {
            return;
        };
        let may_run = order.lease.is_none() || self.may_write();
        // A lease that is not here yet ends nothing that ran before; one that was lost does.
        let is_lost = order.lease.is_some() && self.lease.borrow().is_none();
        let other = |(program, _): &(Program, Child)| order.program.as_ref() != Some(program);
        if self.child.as_ref().is_some_and(other) {
            self.stop().await;
        } else if is_lost {
            self.kill().await;
        }
        if let (None, Some(program), true) = (&self.child, &order.program, may_run)
            && self.failures < STARTS_MAX
        {
            self.starts += 1;
            self.child = Some((program.clone(), start(program)));
        }
        self.tell(order.serial);
    }

    /// Asks the program to end by the signal of its own: whoever starts tests in the background has all
    /// that they start ignore SIGINT. What does not end in its time is killed, as by a real guard.
    async fn stop(&mut self) {
        let Some((program, child)) = &mut self.child else {
            return;
        };
        let signal = match program.stop_signal {
            StopSignal::Terminate => Signal::TERM,
            StopSignal::Interrupt => Signal::INT,
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
        let limit = Duration::from_millis(program.stop_max_ms);
        if let Ok(ended) = tokio::time::timeout(limit, child.wait()).await {
            self.ended = Some(format!("{ended:?}"));
            self.child = None;
        }
        self.kill().await;
    }

    async fn kill(&mut self) {
        if let Some((_, mut child)) = self.child.take() {
            let _ = child.start_kill();
            self.ended = Some(format!("{:?}", child.wait().await));
        }
    }

    fn tell(&self, serial: u64) {
        let process = match &self.child {
            Some((_, child)) => Process::Running {
                start: self.starts,
                pid: child.id().unwrap_or(0),
            },
            None if self.failures >= STARTS_MAX => Process::GaveUp {
                reason: self.ended.clone().unwrap_or_default(),
            },
            None => Process::Stopped {
                ended: self.ended.clone(),
            },
        };
        let lease = self.order.as_ref().and_then(|order| order.lease.as_ref());
        self.status.send_replace(Some(Status {
            serial,
            epoch: lease.map(|lease| lease.epoch),
            may_write: self.may_write(),
            is_lost: false,
            process,
            observed: None,
            trouble: None,
            watchdog: false,
        }));
    }
}

#[async_trait]
impl Guard for TestGuard {
    async fn order(&self, mut order: Order) -> Result<u64, GuardError> {
        order.serial = self.serial.fetch_add(1, Ordering::SeqCst) + 1;
        let serial = order.serial;
        let sent = self.orders.send(Asked::Order(Box::new(order)));
        sent.map_err(|_| GuardError("it is gone".to_owned()))?;
        Ok(serial)
    }

    fn status(&self) -> watch::Receiver<Option<Status>> {
        self.status.clone()
    }

    fn let_go(&self, _: &Path) -> Result<Vec<LetGo>, GuardError> {
        let all = self.let_go.lock().unwrap();
        Ok(all.iter().filter(|it| it.is_there()).cloned().collect())
    }
}

fn start(program: &Program) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&program.log)
        .unwrap();
    let folder = program.seal.parent().unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let script =
        "mount -t tmpfs none \"$0\" && touch \"$0/seal\" && chmod 755 \"$0\" && exec \"$@\"";
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(folder)
        .arg("setpriv")
        .arg(format!("--reuid={}", program.user_id))
        .arg(format!("--regid={}", program.group_id))
        .args(["--clear-groups", "--pdeathsig=KILL", "--"])
        .args(&program.command)
        .env_clear()
        .envs(&program.environment)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("unshare is missing: run `apt-get install util-linux`")
}
