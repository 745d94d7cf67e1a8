//! Runs a provider as a plugin: the handshake with the program that started it, the socket, the
//! certificates, and an orderly end.
//!
//! Nothing is computed before it is asked for, because Terraform starts a provider many times in
//! one run.

mod companion;
mod handshake;
mod logging;
mod reattach;
mod socket;
mod tls;

use std::io::{self, Write as _};
use std::process::ExitCode;

use futures::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::Provider;
use crate::docs;
use crate::proto::plugin::grpc_broker_server::GrpcBrokerServer;
use crate::proto::plugin::grpc_controller_server::GrpcControllerServer;
use crate::proto::plugin::grpc_stdio_server::GrpcStdioServer;
use crate::proto::tfplugin6::provider_server::ProviderServer;
use crate::server::Service;

use handshake::{Handshake, Start};
use socket::Socket;
use tls::Door;

/// How large one message may be, either way.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Calls of author code run on this many threads. Most of a provider's time is waiting.
const WORKER_THREADS: usize = 2;

/// Serves the provider until Terraform has done with it. This is the whole of a provider's
/// `main`, whose exit code it returns.
///
/// With `--debug` it prints the line that lets a Terraform started elsewhere use this process; with
/// `docs` it writes the provider's reference and ends.
pub fn run<P: Provider>(provider: P) -> ExitCode {
    if docs::is_asked() {
        return docs::run(&provider);
    }
    let start = match handshake::start(P::ADDRESS) {
        Ok(start) => start,
        Err(refusal) => return fail(&refusal.to_string()),
    };
    logging::install(P::ADDRESS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("Unable to start the provider's threads: {error}")),
    };
    match runtime.block_on(serve(provider, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("Unable to serve the provider: {error}")),
    }
}

async fn serve<P: Provider>(provider: P, start: Start) -> io::Result<()> {
    let shutdown = CancellationToken::new();
    let (socket, listener) = Socket::bind(start.socket_folder())?;
    let router = router(provider, &shutdown);
    stop_on_signals(&shutdown, matches!(start, Start::Debug { .. }))?;
    let (door, line) = match start {
        Start::Debug { address } => (Door::Open, reattach::instructions(&address, socket.path())),
        Start::Plugin(Handshake {
            client_certificate: None,
            ..
        }) => (Door::Open, handshake::line(socket.path(), "")),
        Start::Plugin(Handshake {
            client_certificate: Some(pinned),
            ..
        }) => {
            let (door, certificate) = tls::pinned(pinned)?;
            (door, handshake::line(socket.path(), &certificate))
        }
    };
    // A handshake that fails concerns one connection and not the others; one that stalls holds up
    // only itself.
    let incoming = UnixListenerStream::new(listener)
        .map(move |stream| {
            let door = door.clone();
            async move { door.accept(stream?).await }
        })
        .buffer_unordered(tls::HANDSHAKES_MAX)
        .filter_map(|accepted| async move { accepted.inspect_err(tls::refused).ok() })
        .map(Ok::<_, io::Error>);
    say(&line)?;
    router
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled())
        .await
        .map_err(io::Error::other)
}

fn router<P: Provider>(provider: P, shutdown: &CancellationToken) -> Router {
    let companion = companion::Companion::new(shutdown.clone());
    Server::builder()
        .add_service(
            ProviderServer::new(Service::new(provider))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(GrpcControllerServer::new(companion.clone()))
        .add_service(GrpcStdioServer::new(companion.clone()))
        .add_service(GrpcBrokerServer::new(companion))
}

/// Terraform decides when a provider ends: an interrupt from the terminal reaches the whole
/// process group, and the provider has to outlive it to finish what runs.
fn stop_on_signals(shutdown: &CancellationToken, is_debug: bool) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {
                    if is_debug {
                        shutdown.cancel();
                    }
                }
                Some(()) = terminate.recv() => shutdown.cancel(),
                () = shutdown.cancelled() => return,
            }
        }
    });
    Ok(())
}

/// Standard output belongs to the handshake; nothing else is ever written there.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn fail(message: &str) -> ExitCode {
    // There is nobody left to tell when this can't be written.
    let _ = writeln!(io::stderr().lock(), "{message}");
    ExitCode::FAILURE
}
