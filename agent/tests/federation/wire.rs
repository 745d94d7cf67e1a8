//! The wire itself: one TLS connection that is never made again, and calls by name, as bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hanse_client::tls::{ALPN_HTTP2, provider};
use hyper_util::rt::TokioIo;
use prost::bytes::{Buf as _, BufMut as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// What a caller shows: a chain, leaf first, and the leaf's key.
pub(crate) struct Papers {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    channel: Channel,
    closed: oneshot::Receiver<()>,
}

impl Connection {
    /// Makes a call and yields its first answer; of most calls, the only one.
    pub(crate) async fn call(&self, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client
            .ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        let path = path.parse().unwrap();
        let response = client.server_streaming(Request::new(message), path, Bytes);
        let first = response.await?.into_inner().message().await?;
        first.ok_or_else(|| Status::unknown("a call without an answer"))
    }

    /// Waits until the voter has closed it.
    pub(crate) async fn closed(self) {
        let Self { channel, closed } = self;
        closed.await.unwrap_err();
        drop(channel);
    }
}

/// Connects once. Whatever goes wrong with TLS may come with the first call instead.
pub(crate) async fn connect(
    endpoint: &str,
    papers: Option<&Papers>,
    version: &'static SupportedProtocolVersion,
) -> Result<Connection, Status> {
    let config = config(papers, version);
    let tcp = TcpStream::connect(endpoint).await.unwrap();
    let name = ServerName::try_from("federation.invalid").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = connecting
        .await
        .map_err(|error| Status::from_error(Box::new(error)))?;
    let (open, closed) = oneshot::channel();
    let stream = Watched {
        stream,
        _open: open,
    };
    let stream = Mutex::new(Some(TokioIo::new(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = stream.lock().unwrap().take();
        std::future::ready(stream.ok_or_else(|| io::Error::other("the connection is closed")))
    });
    let channel = Endpoint::from_static("http://federation.invalid")
        .connect_with_connector(connector)
        .await
        .map_err(|error| Status::from_error(Box::new(error)))?;
    Ok(Connection { channel, closed })
}

fn config(papers: Option<&Papers>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting));
    let mut config = match papers {
        None => builder.with_no_client_auth(),
        Some(Papers { chain, key }) => {
            let chain = chain.iter().cloned().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::try_from(key.clone()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.enable_sni = false;
    config
}

/// A stream whose end is noticed: HTTP/2 lets go of it when it is closed.
struct Watched {
    stream: TlsStream<TcpStream>,
    _open: oneshot::Sender<()>,
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// These tests are about whom the voter trusts.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Messages as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}
