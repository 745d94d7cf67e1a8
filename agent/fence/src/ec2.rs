//! An instance of Amazon EC2, by its query API.
//!
//! A stop is confirmed once `DescribeInstances` says `stopped` or `terminated`; `stopping` and
//! `shutting-down` are none. One that hibernates is none either: its memory lives on. Nothing is ever
//! terminated.

mod answer;

use std::time::Duration;

use hanse_redirect::aws::{self, AwsCredentials, Unsigned};
use hanse_redirect::{Clock, ConfigError, Http, HttpUrl};
use hyper::Method;

use self::answer::Instance;
use crate::error::FenceError;
use crate::proxmox::unheard;
use crate::{Machine, Sight};

const VERSION: &str = "2016-11-15";
/// How long each answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Which instance, and where to ask.
#[derive(Debug, Clone)]
pub struct Ec2Config {
    /// The instance's id.
    pub instance_id: String,
    /// The region that it is in.
    pub region: String,
    /// What its tag `Name` holds; none: whatever.
    pub name: Option<String>,
    /// Who asks.
    pub credentials: AwsCredentials,
    /// Another endpoint than AWS's own.
    pub endpoint: Option<HttpUrl>,
}

/// Stops one instance of Amazon EC2.
#[derive(Debug, Clone)]
pub struct Ec2 {
    config: Ec2Config,
    endpoint: HttpUrl,
    http: Http,
    clock: Clock,
}

impl Ec2 {
    /// An instance as it was declared.
    ///
    /// # Errors
    ///
    /// A value can't be.
    pub fn try_new(config: Ec2Config, http: Http, clock: Clock) -> Result<Self, ConfigError> {
        let problem = |what: String| ConfigError::Value { what };
        let is_word = |text: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !text.is_empty() && text.bytes().all(is_plain)
        };
        for (what, text) in [
            ("an instance", &config.instance_id),
            ("a region", &config.region),
        ] {
            if !is_word(text) {
                return Err(problem(format!("{text:?} is no id of {what}")));
            }
        }
        let AwsCredentials {
            access_key_id,
            secret_access_key,
            ..
        } = &config.credentials;
        let secret = secret_access_key.bytes();
        if access_key_id.is_empty() || secret.is_empty() {
            return Err(problem(
                "an AWS access key has an id and a secret: give both".to_owned(),
            ));
        }
        // China's regions have a domain of their own.
        let domain = match config.region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        let own = || format!("https://ec2.{}.{domain}", config.region).parse();
        let endpoint = config.endpoint.clone().map_or_else(own, Ok)?;
        Ok(Self {
            config,
            endpoint,
            http,
            clock,
        })
    }

    fn server(&self) -> String {
        format!("EC2 at {}", self.endpoint)
    }

    fn machine(&self) -> String {
        format!("the instance {}", self.config.instance_id)
    }

    async fn ask(&self, action: &str) -> Result<Vec<u8>, FenceError> {
        let Ec2Config {
            instance_id,
            region,
            credentials,
            ..
        } = &self.config;
        let body = format!("Action={action}&Version={VERSION}&InstanceId.1={instance_id}");
        let target = match self.endpoint.path() {
            "" => "/",
            path => path,
        };
        let unsigned = Unsigned {
            service: "ec2",
            region,
            method: Method::POST.as_str(),
            host: &self.endpoint.authority(),
            target,
            body: body.as_bytes(),
        };
        let mut headers = aws::headers(credentials, &unsigned, self.clock.now_unix_s());
        headers.push(("content-type", CONTENT_TYPE.to_owned()));
        let body = body.into_bytes();
        let asked = self
            .http
            .ask(Method::POST, &self.endpoint, &headers, body, ANSWER_MAX);
        let answer = asked.await.map_err(|error| unheard(self.server(), error))?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(self.refusal(status, &answer.body)),
        }
    }

    fn refusal(&self, status: u16, body: &[u8]) -> FenceError {
        let (code, message) = answer::refusal(body);
        let (server, said) = (self.server(), format!("{code}: {message}"));
        match code.as_str() {
            "UnauthorizedOperation" | "AccessDenied" => FenceError::Denied {
                server,
                said,
                needs: format!(
                    "ec2:DescribeInstances, and ec2:StopInstances on {}",
                    self.config.instance_id
                ),
            },
            "AuthFailure"
            | "SignatureDoesNotMatch"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "ExpiredToken"
            | "RequestExpired"
            | "MissingAuthenticationToken" => FenceError::Credentials {
                server,
                credential: format!("access key {}", self.config.credentials.access_key_id),
                said,
            },
            code if code.starts_with("InvalidInstanceID") => FenceError::NoMachine {
                server,
                machine: self.machine(),
                said,
            },
            _ => FenceError::Refused {
                server,
                status,
                said,
            },
        }
    }

    /// Whether it is what is meant, and how it is.
    fn judge(&self, instance: Instance) -> Result<Sight, FenceError> {
        let machine = self.machine();
        let declared = self.config.name.as_ref();
        if let Some(declared) = declared.filter(|name| **name != instance.name) {
            return Err(FenceError::OtherMachine {
                machine,
                found: instance.name,
                declared: declared.clone(),
            });
        }
        match instance.state.as_str() {
            "terminated" => Ok(Sight::Stopped),
            "stopped" if instance.reason.contains("Hibernate") => Err(FenceError::Kept {
                machine,
                why: "its memory was kept when it hibernated".to_owned(),
                advice:
                    "Terminate it, or run `hanse dr confirm-fenced` once it certainly can't go on"
                        .to_owned(),
            }),
            "stopped" => Ok(Sight::Stopped),
            "shutting-down" => Ok(Sight::Ending(instance.state)),
            _ => Ok(Sight::Running(instance.state)),
        }
    }
}

impl Machine for Ec2 {
    async fn look(&self) -> Result<Sight, FenceError> {
        let body = self.ask("DescribeInstances").await?;
        let id = &self.config.instance_id;
        let instance = answer::instance(&body, id).map_err(|what| FenceError::Malformed {
            server: self.server(),
            what,
        })?;
        self.judge(instance)
    }

    async fn stop(&self) -> Result<(), FenceError> {
        // By force, whatever the system on it does; and one that is stopping slowly is asked so again.
        self.ask("StopInstances&Force=true").await.map(drop)
    }
}
