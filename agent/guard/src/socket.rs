//! The guard's socket. What comes from it is bounded in length and in number, and nobody who is slow
//! or silent there keeps the guard from anything.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::error::Error;
use crate::file;
use crate::message::line;
use crate::order::Status;
use crate::wire::{Line, Reply, Request, SOCKET, read_line};

const CLIENTS_MAX: usize = 16;
const REQUESTS_MAX: usize = 16;

/// A request and where its answer goes.
pub(crate) type Asked = (Request, oneshot::Sender<Reply>);

/// Listens in a folder, and yields what is asked. Once nobody tells a status any more it listens no
/// longer, and nothing more is asked after every client heard what there was to say.
pub(crate) fn listen(
    folder: &Path,
    status: watch::Receiver<Option<Status>>,
) -> Result<mpsc::Receiver<Asked>, Error> {
    let path = folder.join(SOCKET);
    let shown = path.display();
    file::remove(&path).map_err(Error::io(format!("remove the old socket {shown}")))?;
    let listener =
        UnixListener::bind(&path).map_err(Error::io(format!("listen on the socket {shown}")))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))
        .map_err(Error::io(format!("close the socket {shown} to others")))?;
    let (asked, requests) = mpsc::channel(REQUESTS_MAX);
    tokio::spawn(accept(listener, asked, status));
    Ok(requests)
}

async fn accept(
    listener: UnixListener,
    asked: mpsc::Sender<Asked>,
    status: watch::Receiver<Option<Status>>,
) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut known = status.clone();
    let ending = async move { while known.changed().await.is_ok() {} };
    tokio::pin!(ending);
    while let Ok(place) = places.clone().acquire_owned().await {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("unable to accept a client: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut ending => return,
        };
        let (asked, status) = (asked.clone(), status.clone());
        tokio::spawn(async move {
            // Whoever is gone is not told why.
            let _ = serve(stream, asked, status).await;
            drop(place);
        });
    }
}

async fn serve(
    stream: UnixStream,
    asked: mpsc::Sender<Asked>,
    mut status: watch::Receiver<Option<Status>>,
) -> std::io::Result<()> {
    let (input, mut output) = stream.into_split();
    let (lines, mut said) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        let mut input = BufReader::new(input);
        while let Ok(line) = read_line(&mut input).await {
            let is_last = !matches!(line, Line::Whole(_));
            if lines.send(line).await.is_err() || is_last {
                return;
            }
        }
    });
    let known = status.borrow_and_update().clone();
    if let Some(status) = known {
        say(&mut output, Reply::Status(status)).await?;
    }
    let mut answer: Option<oneshot::Receiver<Reply>> = None;
    let result = loop {
        let reply = tokio::select! {
            // What is answered is told even as the guard ends.
            biased;
            reply = answered(&mut answer) => reply,
            changed = status.changed() => {
                let known = status.borrow_and_update().clone();
                match (changed, known) {
                    (Ok(()), Some(status)) => Reply::Status(status),
                    (Ok(()), None) => continue,
                    (Err(_), _) => break Ok(()),
                }
            }
            line = said.recv(), if answer.is_none() => match line {
                Some(Line::Whole(line)) => match serde_json::from_slice(&line) {
                    Ok(request) => {
                        let (sender, receiver) = oneshot::channel();
                        if asked.send((request, sender)).await.is_err() {
                            break Ok(());
                        }
                        answer = Some(receiver);
                        continue;
                    }
                    Err(error) => refused(format!("that is no request: {error}")),
                },
                Some(Line::TooLong) => {
                    break say(&mut output, refused("the line is too long".to_owned())).await;
                }
                Some(Line::Closed) | None => break Ok(()),
            },
        };
        if let Err(error) = say(&mut output, reply).await {
            break Err(error);
        }
    };
    reading.abort();
    result
}

async fn answered(answer: &mut Option<oneshot::Receiver<Reply>>) -> Reply {
    let Some(receiver) = answer else {
        return std::future::pending().await;
    };
    let reply = receiver.await;
    *answer = None;
    reply.unwrap_or_else(|_| refused("the guard is ending".to_owned()))
}

pub(crate) fn refused(reason: String) -> Reply {
    Reply::Refused { reason }
}

async fn say(output: &mut OwnedWriteHalf, reply: Reply) -> std::io::Result<()> {
    output.write_all(&line(&reply)).await
}
