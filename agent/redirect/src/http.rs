//! HTTP to servers of others: one request, one connection, one bounded answer.
//!
//! On hyper, which the tree has for gRPC, and without `reqwest`: neither cookies nor proxies nor
//! redirects are wanted. A redirect is never followed: what is sent is signed for one place.

mod pin;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{HOST, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::ConfigError;

/// What an answer may have at most: Route 53's are a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A server, and the place on it. Shown without the place, which may be a secret of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl HttpUrl {
    /// As the `Host` of a request: without the port that is the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == usual_port(self.is_tls) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The place on the server.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same server, another place.
    #[must_use]
    pub fn with_path(&self, path: String) -> Self {
        let mut url = self.clone();
        url.path = path;
        url
    }
}

fn usual_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}/…")
    }
}

impl FromStr for HttpUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text isn't shown: it may hold a secret.
        let problem = |what: &str| ConfigError::Value {
            what: format!("a URL {what}: give one such as https://hooks.example.org/hanse"),
        };
        let uri: Uri = text.parse().map_err(|_| problem("is none"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(problem("begins neither with https:// nor with http://")),
        };
        let authority = uri.authority().ok_or_else(|| problem("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(problem("holds a user or a password"));
        }
        if authority.host().is_empty() {
            return Err(problem("has no host"));
        }
        Ok(Self {
            is_tls,
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(usual_port(is_tls)),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What the server says beside the status, if that is not what everybody says.
    pub reason: Option<String>,
    /// How long to wait, in seconds, as the server says.
    pub retry_after_s: Option<u64>,
    /// The whole of it.
    pub body: Vec<u8>,
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum HttpError {
    /// Nothing was sent.
    Unreachable(io::Error),
    /// The answer did not come whole.
    Cut(io::Error),
    /// The answer is too long.
    TooLong,
}

/// Asks servers, and trusts whom it was told to.
#[derive(Clone)]
pub struct Http {
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Http")
    }
}

impl Http {
    /// Trusts whom the host trusts.
    ///
    /// # Errors
    ///
    /// The host trusts nobody.
    pub fn system() -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let advice = "the host trusts no certificate authority. Run: sudo apt-get install \
                      ca-certificates";
        Self::trusting(roots, advice)
    }

    /// Trusts these certificate authorities, in PEM, and nobody else.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn with_authorities(pem: &[u8]) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        roots.add_parsable_certificates(certificates);
        Self::trusting(
            roots,
            "the certificate authorities hold no certificate: give PEM",
        )
    }

    /// Trusts whoever shows one of these certificates, each by its SHA-256, and nobody else.
    ///
    /// # Errors
    ///
    /// TLS can't be set up.
    pub fn with_fingerprints(pins: &[[u8; 32]]) -> Result<Self, ConfigError> {
        pin::config(pins.to_vec()).map(Self::with_config)
    }

    fn trusting(roots: RootCertStore, advice: &str) -> Result<Self, ConfigError> {
        let problem = |what: String| ConfigError::Value { what };
        if roots.is_empty() {
            return Err(problem(advice.to_owned()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| problem(format!("unable to set up TLS: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with_config(tls))
    }

    fn with_config(mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: Arc::new(tls) }
    }

    /// One request and its answer, each within `patience`.
    ///
    /// # Errors
    ///
    /// No answer came, or one that is too long.
    pub async fn ask(
        &self,
        method: Method,
        url: &HttpUrl,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Answer, HttpError> {
        let late = |what: &'static str| move |_| io::Error::new(io::ErrorKind::TimedOut, what);
        let stream = timeout(patience, self.connect(url))
            .await
            .map_err(late("it takes no connection"))
            .flatten()
            .map_err(HttpError::Unreachable)?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        let invalid = |error: hyper::http::Error| {
            HttpError::Unreachable(io::Error::new(io::ErrorKind::InvalidInput, error))
        };
        let uri = url.path.parse::<Uri>();
        *request.uri_mut() = uri.map_err(|error| invalid(error.into()))?;
        let host = [("host", url.authority())];
        for (name, value) in host.iter().chain(headers) {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_str(value).map_err(|error| invalid(error.into()))?;
            request.headers_mut().insert(name, value);
        }
        debug_assert!(request.headers().contains_key(HOST));
        timeout(patience, exchange(stream, request))
            .await
            .map_err(late("no answer came in time"))
            .map_err(HttpError::Cut)
            .flatten()
    }

    async fn connect(&self, url: &HttpUrl) -> io::Result<Box<dyn Stream>> {
        // Brackets belong to the URL, not to the address.
        let host = url.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, url.port)).await?;
        if !url.is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, HttpError> {
    let cut = |error: hyper::Error| HttpError::Cut(io::Error::other(sentence(&error)));
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(cut)?;
    // Ends with this call, whether it is awaited to its end or not.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(cut)?;
    let status = answer.status().as_u16();
    let reason = answer.extensions().get::<ReasonPhrase>();
    let reason = reason.map(|it| String::from_utf8_lossy(it.as_bytes()).trim().to_owned());
    let retry_after = answer.headers().get(RETRY_AFTER);
    let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            HttpError::TooLong
        } else {
            HttpError::Cut(io::Error::other(error))
        }
    })?;
    Ok(Answer {
        status,
        reason,
        retry_after_s,
        body: body.to_bytes().to_vec(),
    })
}

/// An error of hyper with what lies under it, which it doesn't tell itself.
fn sentence(error: &hyper::Error) -> String {
    let under = std::error::Error::source(error);
    under.map_or_else(|| error.to_string(), |under| format!("{error}: {under}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_path_is_not_shown() {
        let url: HttpUrl = "https://Hooks.example.org:8443/services/T0/secret?k=v"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "https://Hooks.example.org:8443");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.path(), "/services/T0/secret?k=v");
        let url: HttpUrl = "http://[::1]".parse().unwrap();
        assert_eq!((url.authority().as_str(), url.path()), ("[::1]", "/"));
        for (text, part) in [
            ("ftp://example.org", "neither"),
            ("example.org/secret", "URL"),
            ("https://me:secret@example.org", "a user or a password"),
            ("", "URL"),
        ] {
            let said = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(
                said.contains(part) && !said.contains("secret"),
                "{text}: {said}"
            );
        }
    }
}
