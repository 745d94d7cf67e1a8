//! A machine of Proxmox VE, by the API of any node of its cluster.
//!
//! A stop is confirmed once its task ended with OK *and* the machine's status is `stopped`. A machine
//! that was suspended to disk, or is on its way to another node, has that status too and is none: its
//! memory lives on.

mod answer;

use std::time::Duration;

use hanse_redirect::{Answer, ConfigError, Http, HttpError, HttpUrl, Secret};
use hyper::Method;
use tokio::time::sleep;

use self::answer::{Current, TaskStatus};
use crate::error::FenceError;
use crate::{Machine, Sight};

/// How long each answer may take: a node that can't be reached must leave time for another.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often a task is looked at.
const TASK_EVERY: Duration = Duration::from_millis(250);

/// What runs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// A virtual machine.
    Vm,
    /// A container.
    Container,
}

impl Guest {
    fn path(self) -> &'static str {
        match self {
            Self::Vm => "qemu",
            Self::Container => "lxc",
        }
    }
}

/// Which machine, and where to ask.
#[derive(Debug, Clone)]
pub struct ProxmoxConfig {
    /// Where the API is: each is tried in this order.
    pub urls: Vec<HttpUrl>,
    /// The node that the machine is on.
    pub node: String,
    /// The machine's number.
    pub vmid: u32,
    /// What it is.
    pub guest: Guest,
    /// What it is called; none: whatever.
    pub name: Option<String>,
    /// The API token's id.
    pub token_id: String,
    /// Its secret.
    pub token_secret: Secret,
}

/// Stops one machine of Proxmox VE.
#[derive(Debug, Clone)]
pub struct Proxmox {
    config: ProxmoxConfig,
    authorization: Secret,
    http: Http,
}

impl Proxmox {
    /// A machine as it was declared. `http` says who is believed.
    ///
    /// # Errors
    ///
    /// A value can't be.
    pub fn try_new(config: ProxmoxConfig, http: Http) -> Result<Self, ConfigError> {
        let problem = |what: &str| ConfigError::Value { what: what.into() };
        let secret = String::from_utf8_lossy(config.token_secret.bytes()).into_owned();
        // Another byte would end the header, or be none of it.
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(problem(
                "an API token's secret is one word: give it as `pveum user token add` showed it",
            ));
        }
        if config.urls.is_empty() {
            return Err(problem(
                "nothing says where the API of Proxmox VE is: give a URL",
            ));
        }
        let authorization = Secret::new(format!("PVEAPIToken={}={secret}", config.token_id));
        Ok(Self {
            config,
            authorization,
            http,
        })
    }

    fn machine(&self) -> String {
        let ProxmoxConfig {
            vmid, node, guest, ..
        } = &self.config;
        match guest {
            Guest::Vm => format!("VM {vmid} on node {node}"),
            Guest::Container => format!("container {vmid} on node {node}"),
        }
    }

    fn place(&self, rest: &str) -> String {
        let ProxmoxConfig {
            vmid, node, guest, ..
        } = &self.config;
        format!("/nodes/{node}/{}/{vmid}/status/{rest}", guest.path())
    }

    /// Asks one URL after another. The first that decides is believed: who is down, or can't reach the
    /// machine's node, decides nothing.
    async fn ask(&self, method: &Method, place: &str) -> Result<Vec<u8>, FenceError> {
        let mut first = None;
        for url in &self.config.urls {
            let error = match self.ask_one(url, method.clone(), place).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match &error {
                FenceError::Credentials { .. } | FenceError::Denied { .. } => return Err(error),
                _ => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(FenceError::Unreachable {
            server: "Proxmox VE".to_owned(),
            why: "nothing says where it is".to_owned(),
        }))
    }

    async fn ask_one(
        &self,
        url: &HttpUrl,
        method: Method,
        place: &str,
    ) -> Result<Vec<u8>, FenceError> {
        let server = format!("Proxmox VE at {url}");
        let target = format!("{}/api2/json{place}", url.path().trim_end_matches('/'));
        let target = url.with_path(target);
        let authorization = String::from_utf8_lossy(self.authorization.bytes()).into_owned();
        let headers = [("authorization", authorization)];
        let asked = self
            .http
            .ask(method, &target, &headers, Vec::new(), ANSWER_MAX);
        let answer = asked
            .await
            .map_err(|error| unheard(server.clone(), error))?;
        match answer.status {
            200 => Ok(answer.body),
            _ => Err(self.refusal(server, &answer)),
        }
    }

    fn refusal(&self, server: String, answer: &Answer) -> FenceError {
        let ProxmoxConfig { vmid, token_id, .. } = &self.config;
        let said = answer::said(answer);
        match answer.status {
            401 => FenceError::Credentials {
                server,
                credential: format!("API token {token_id}"),
                said,
            },
            403 => FenceError::Denied {
                server,
                said,
                needs: format!("VM.Audit and VM.PowerMgmt on /vms/{vmid} to {token_id}"),
            },
            404 => FenceError::NoMachine {
                server,
                machine: self.machine(),
                said,
            },
            500 if said.contains("does not exist") => FenceError::NoMachine {
                server,
                machine: self.machine(),
                said,
            },
            status => FenceError::Refused {
                server,
                status,
                said,
            },
        }
    }

    fn read<T>(&self, body: &[u8]) -> Result<T, FenceError>
    where
        T: serde::de::DeserializeOwned,
    {
        answer::data(body).map_err(|what| FenceError::Malformed {
            server: "Proxmox VE".to_owned(),
            what,
        })
    }

    /// Whether what has the number is what is meant, and how it is.
    fn judge(&self, current: &Current) -> Result<Sight, FenceError> {
        let ProxmoxConfig { name, vmid, .. } = &self.config;
        let machine = self.machine();
        if current.vmid.is_some_and(|found| found != *vmid) {
            return Err(FenceError::Malformed {
                server: "Proxmox VE".to_owned(),
                what: format!("it tells of another machine than {machine}"),
            });
        }
        if let Some(declared) = name.as_ref().filter(|name| **name != current.name) {
            return Err(FenceError::OtherMachine {
                machine,
                found: current.name.clone(),
                declared: declared.clone(),
            });
        }
        if current.status != "stopped" {
            return Ok(Sight::Running(current.status.clone()));
        }
        match current.lock.as_deref() {
            Some("suspended" | "suspending") => Err(FenceError::Kept {
                machine,
                why: "its memory was kept when it was suspended to disk".to_owned(),
                advice: "Start it while it can reach nobody and stop it, or run `hanse dr \
                         confirm-fenced` once it certainly can't go on"
                    .to_owned(),
            }),
            Some("migrate") => Err(FenceError::Kept {
                machine,
                why: "it is on its way to another node".to_owned(),
                advice: "Declare the node that it is on once it is there".to_owned(),
            }),
            // A rollback brings old memory back, and a backup starts it again.
            Some(lock) => Ok(Sight::Running(format!("stopped and locked ({lock})"))),
            None => Ok(Sight::Stopped),
        }
    }
}

impl Machine for Proxmox {
    async fn look(&self) -> Result<Sight, FenceError> {
        let body = self.ask(&Method::GET, &self.place("current")).await?;
        self.judge(&self.read(&body)?)
    }

    async fn stop(&self) -> Result<(), FenceError> {
        let body = self.ask(&Method::POST, &self.place("stop")).await?;
        let task: String = self.read(&body)?;
        let Some(escaped) = answer::task_in_url(&task) else {
            return Err(FenceError::Malformed {
                server: "Proxmox VE".to_owned(),
                what: "the task's id is none".to_owned(),
            });
        };
        let place = format!("/nodes/{}/tasks/{escaped}/status", self.config.node);
        loop {
            let status: TaskStatus = self.read(&self.ask(&Method::GET, &place).await?)?;
            match (status.status.as_str(), status.exitstatus.as_deref()) {
                ("stopped", Some("OK")) => return Ok(()),
                ("stopped", said) => {
                    return Err(FenceError::Task {
                        machine: self.machine(),
                        said: crate::error::shortened(said.unwrap_or("it says nothing")),
                    });
                }
                _ => sleep(TASK_EVERY).await,
            }
        }
    }
}

/// Why nothing, or not everything, was heard.
pub(crate) fn unheard(server: String, error: HttpError) -> FenceError {
    match error {
        HttpError::Unreachable(error) => {
            let tls = error.get_ref().and_then(|it| it.downcast_ref());
            match tls {
                Some(rustls::Error::General(why)) => FenceError::Certificate {
                    server,
                    why: why.clone(),
                },
                Some(rustls::Error::InvalidCertificate(why)) => FenceError::Certificate {
                    server,
                    why: format!("its certificate is not valid here ({why})"),
                },
                Some(_) | None => FenceError::Unreachable {
                    server,
                    why: error.to_string(),
                },
            }
        }
        HttpError::Cut(error) => FenceError::Cut {
            server,
            why: error.to_string(),
        },
        HttpError::TooLong => FenceError::Malformed {
            server,
            what: "it is too long".to_owned(),
        },
    }
}
