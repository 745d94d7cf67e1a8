//! Amazon Route 53: one atomic batch that deletes what was read and creates what is to be.
//!
//! Never UPSERT: it knows no prerequisite. A batch whose DELETE names anything but what is there, or
//! whose CREATE names what is there already, is refused whole, and so the mark does what a prerequisite
//! does.

mod xml;

use std::io;
use std::time::Duration;

use hyper::Method;
use tokio::time::{Instant, sleep};

use crate::aws::{self, AwsCredentials, Unsigned};
use crate::clock::Clock;
use crate::decide::{Change, Sight};
use crate::error::{ConfigError, RedirectError, Route53Problem};
use crate::http::{Answer, Http, HttpError, HttpUrl};
use crate::lead::{Spread, Written, Zone};
use crate::name::DnsName;

/// Where Route 53 is, and where its requests are signed for.
const ENDPOINT: &str = "https://route53.amazonaws.com";
const REGION: &str = "us-east-1";
const API: &str = "/2013-04-01";
/// What a TTL may be at most, in seconds.
const TTL_S_MAX: u32 = i32::MAX as u32;
/// How often a reading is tried while Route 53 has no time for it, and how long it is left alone.
const READINGS_MAX: u32 = 5;
const BUSY_FIRST: Duration = Duration::from_millis(250);
/// How often it is asked whether all its servers have a change.
const IN_SYNC_EVERY: Duration = Duration::from_secs(2);

/// A record in a hosted zone.
#[derive(Debug, Clone)]
pub struct Route53Config {
    /// The hosted zone's id.
    pub hosted_zone: String,
    /// The record: its A and AAAA lead clients.
    pub record: DnsName,
    /// For how long resolvers may keep it, in seconds.
    pub ttl_s: u32,
    /// Who asks.
    pub credentials: AwsCredentials,
    /// Another endpoint than AWS's own.
    pub endpoint: Option<HttpUrl>,
    /// The region that requests are signed for, where it isn't us-east-1 (China, GovCloud).
    pub region: Option<String>,
    /// How long each answer may take.
    pub timeout: Duration,
    /// How long to wait until all of Route 53's name servers have a change; none: not at all.
    pub in_sync: Option<Duration>,
}

/// Leads clients by Route 53.
#[derive(Debug, Clone)]
pub struct Route53 {
    config: Route53Config,
    endpoint: HttpUrl,
    mark: DnsName,
    http: Http,
    clock: Clock,
}

impl Route53 {
    /// A record as it was declared.
    ///
    /// # Errors
    ///
    /// A value can't be.
    pub fn try_new(
        mut config: Route53Config,
        http: Http,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let problem = |what: String| ConfigError::Value { what };
        let zone = config.hosted_zone.rsplit('/').next().unwrap_or_default();
        let is_id = !zone.is_empty() && zone.bytes().all(|c| c.is_ascii_alphanumeric());
        if !is_id || zone.len() > 32 {
            return Err(problem(format!(
                "{:?} is no id of a hosted zone: give one such as Z0123456789ABC, as `aws route53 \
                 list-hosted-zones` shows it",
                config.hosted_zone
            )));
        }
        config.hosted_zone = zone.to_owned();
        if config.ttl_s > TTL_S_MAX {
            return Err(problem(format!(
                "a TTL of {} s is too long: give less",
                config.ttl_s
            )));
        }
        let AwsCredentials {
            access_key_id,
            secret_access_key,
            ..
        } = &config.credentials;
        if access_key_id.is_empty() || secret_access_key.is_empty() {
            return Err(problem(
                "an AWS access key has an id and a secret: give both".to_owned(),
            ));
        }
        let endpoint = config
            .endpoint
            .clone()
            .map_or_else(|| ENDPOINT.parse(), Ok)?;
        let mark = config.record.mark()?;
        Ok(Self {
            config,
            endpoint,
            mark,
            http,
            clock,
        })
    }

    async fn list(&self, name: &DnsName) -> Result<xml::Listed, RedirectError> {
        let zone = &self.config.hosted_zone;
        let target = format!("{API}/hostedzone/{zone}/rrset?maxitems=100&name={name}.");
        let mut busy = BUSY_FIRST;
        let mut answer = self.ask(Method::GET, &target, "").await?;
        for _ in 1..READINGS_MAX {
            if !is_busy(&answer) {
                break;
            }
            sleep(busy).await;
            busy *= 2;
            answer = self.ask(Method::GET, &target, "").await?;
        }
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        xml::listed(&answer.body, name).map_err(|what| self.malformed(what))
    }

    async fn change(&self, batch: String) -> Result<Answer, RedirectError> {
        let zone = &self.config.hosted_zone;
        let target = format!("{API}/hostedzone/{zone}/rrset/");
        self.ask(Method::POST, &target, &batch).await
    }

    async fn ask(&self, method: Method, target: &str, body: &str) -> Result<Answer, RedirectError> {
        let target = format!("{}{target}", self.endpoint.path().trim_end_matches('/'));
        let unsigned = Unsigned {
            service: "route53",
            region: self.config.region.as_deref().unwrap_or(REGION),
            method: method.as_str(),
            host: &self.endpoint.authority(),
            target: &target,
            body: body.as_bytes(),
        };
        let now_unix_s = self.clock.now_unix_s();
        let headers = aws::headers(&self.config.credentials, &unsigned, now_unix_s);
        let url = self.endpoint.with_path(target);
        let server = self.endpoint.to_string();
        let patience = self.config.timeout;
        let body = body.as_bytes().to_vec();
        match self.http.ask(method, &url, &headers, body, patience).await {
            Ok(answer) => Ok(answer),
            Err(HttpError::Unreachable(source)) => {
                Err(RedirectError::Unreachable { server, source })
            }
            Err(HttpError::Cut(source)) => Err(RedirectError::Cut { server, source }),
            Err(HttpError::TooLong) => Err(self.malformed("it is too long".to_owned())),
        }
    }

    /// Waits until all servers have a change, as long as was declared.
    async fn spread(&self, id: &str, is_in_sync: bool) -> Spread {
        let deadline = self
            .config
            .in_sync
            .map(|patience| Instant::now() + patience);
        let mut is_in_sync = is_in_sync;
        while !is_in_sync && deadline.is_some_and(|deadline| Instant::now() < deadline) {
            let target = format!("{API}/change/{id}");
            // The change took place, whatever is said of it now.
            let answer = self.ask(Method::GET, &target, "").await;
            let changed = answer.map(|answer| xml::changed(&answer.body));
            is_in_sync = matches!(changed, Ok(Ok((_, true))));
            if !is_in_sync {
                sleep(IN_SYNC_EVERY).await;
            }
        }
        if is_in_sync {
            Spread::InSync
        } else {
            Spread::Pending
        }
    }

    fn malformed(&self, what: String) -> RedirectError {
        RedirectError::Malformed {
            server: self.endpoint.to_string(),
            what,
        }
    }

    fn refused(&self, answer: &Answer) -> RedirectError {
        let (code, message) = xml::refusal(&answer.body);
        let zone = self.config.hosted_zone.clone();
        RedirectError::Route53 {
            server: self.endpoint.to_string(),
            problem: problem(code, message, answer.status, zone),
        }
    }
}

impl Zone for Route53 {
    fn record(&self) -> &DnsName {
        &self.config.record
    }

    fn ttl_s(&self) -> u32 {
        self.config.ttl_s
    }

    async fn read(&self) -> Result<Sight, RedirectError> {
        // The mark first: what is read after it belongs to this epoch or to a later one.
        let mark = self.list(&self.mark).await?;
        let record = self.list(&self.config.record).await?;
        for (name, listed) in [(&self.mark, &mark), (&self.config.record, &record)] {
            if let Some(what) = listed.occupied {
                return Err(RedirectError::Occupied {
                    name: name.to_string(),
                    what: what.to_owned(),
                });
            }
        }
        Ok(Sight {
            mark: mark.txt,
            v4: record.a,
            v6: record.aaaa,
        })
    }

    async fn write(&self, change: &Change) -> Result<Written, RedirectError> {
        let batch = xml::batch(&self.config.record, &self.mark, change);
        let answer = self.change(batch).await?;
        if answer.status == 200 {
            let changed = xml::changed(&answer.body);
            let cut = |what: String| RedirectError::Cut {
                server: self.endpoint.to_string(),
                source: io::Error::new(io::ErrorKind::InvalidData, what),
            };
            let (id, is_in_sync) = changed.map_err(cut)?;
            return Ok(Written::Done(self.spread(&id, is_in_sync).await));
        }
        if is_busy(&answer) {
            let (code, message) = xml::refusal(&answer.body);
            return Ok(Written::Busy(format!("{code}: {message}")));
        }
        match xml::refusal(&answer.body) {
            (code, message) if code == "InvalidChangeBatch" => Ok(Written::Raced(message)),
            _ => Err(self.refused(&answer)),
        }
    }

    async fn probe(&self, _: &Sight) -> Result<Written, RedirectError> {
        let answer = self.change(xml::probe(&self.mark)).await?;
        if is_busy(&answer) {
            let (code, message) = xml::refusal(&answer.body);
            return Ok(Written::Busy(format!("{code}: {message}")));
        }
        let (code, _) = xml::refusal(&answer.body);
        // It was judged, and so it was permitted.
        if matches!(code.as_str(), "InvalidChangeBatch" | "InvalidInput") {
            return Ok(Written::Done(Spread::InSync));
        }
        Err(self.refused(&answer))
    }
}

/// Whether the same may be asked again in a moment.
fn is_busy(answer: &Answer) -> bool {
    if answer.status >= 500 || answer.status == 429 {
        return true;
    }
    let codes = [
        "PriorRequestNotComplete",
        "Throttling",
        "ThrottlingException",
    ];
    answer.status == 400 && codes.contains(&xml::refusal(&answer.body).0.as_str())
}

/// What a refusal means.
fn problem(code: String, message: String, status: u16, zone: String) -> Route53Problem {
    match code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "NotAuthorizedException" => {
            Route53Problem::Denied { message, zone }
        }
        "NoSuchHostedZone" => Route53Problem::NoZone { zone },
        "RequestExpired" | "RequestTimeTooSkewed" => Route53Problem::Clock { code, message },
        // What AWS says of a wrong clock has the code of a wrong signature.
        "SignatureDoesNotMatch" if message.contains("expired") || message.contains("current") => {
            Route53Problem::Clock { code, message }
        }
        "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Route53Problem::Credentials { code, message },
        _ => Route53Problem::Other {
            code,
            status,
            message,
        },
    }
}
