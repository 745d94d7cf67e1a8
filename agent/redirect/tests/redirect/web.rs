//! A small HTTP server that answers as a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// A status, more headers, and a body.
    Whole(u16, &'static str, String),
    /// These bytes, and then the end of the connection.
    Bytes(Vec<u8>),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Whole(status, "", String::new())
    }
}

/// Starts a server. Returns `127.0.0.1:port`; it runs as long as the tests do.
pub(crate) fn serve(handler: impl Fn(Request) -> Reply + Send + Sync + 'static) -> String {
    serve_on(handler, |stream, handle| handle(&mut { stream }))
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

type Handle<'a> = &'a dyn Fn(&mut dyn Both);

/// The same, with something between the connection and the requests.
fn serve_on(
    handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    wrap: impl Fn(TcpStream, Handle<'_>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handler = Arc::new(handler);
    let wrap = Arc::new(wrap);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (handler, wrap) = (Arc::clone(&handler), Arc::clone(&wrap));
            std::thread::spawn(move || {
                wrap(stream, &|stream| {
                    // Whoever connects and goes away has nothing to be told.
                    let _ = answer(stream, &*handler);
                });
            });
        }
    });
    address
}

/// The same over TLS, with a certificate for `localhost` from an authority of its own, which is
/// returned in PEM.
pub(crate) fn serve_tls(
    handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
) -> (String, String) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = key.cert.pem();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.unwrap())
        .unwrap();
    let config = Arc::new(config);
    let address = serve_on(handler, move |stream, handle| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        handle(&mut rustls::StreamOwned::new(connection, stream));
    });
    (address.replace("127.0.0.1", "localhost"), pem)
}

fn answer(stream: &mut dyn Both, handler: &dyn Fn(Request) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method: method.unwrap_or_default(),
        target: target.unwrap_or_default(),
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").parse().unwrap_or(0);
    reader
        .by_ref()
        .take(length)
        .read_to_string(&mut request.body)?;
    if request.method.is_empty() {
        return Ok(());
    }
    let stream = reader.get_mut();
    match handler(request) {
        Reply::Whole(status, more, body) => write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{more}\r\n{body}",
            body.len()
        )?,
        Reply::Bytes(bytes) => stream.write_all(&bytes)?,
    }
    stream.flush()
}
