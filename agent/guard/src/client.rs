//! How an agent talks to a guard: it comes back by itself, and says nothing that it doesn't know.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::error::Error;
use crate::let_go::{self, LetGo};
use crate::message::line;
use crate::order::{Order, Status};
use crate::store;
use crate::wire::{Line, Reply, Request, SOCKET, read_line};

const RECONNECT: Duration = Duration::from_millis(200);

type Waiting = oneshot::Sender<Result<Reply, Error>>;

/// A guard, by its folder. It is left alone once the client is dropped.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::Sender<(Request, Waiting)>,
    status: watch::Receiver<Option<Status>>,
    folder: PathBuf,
}

impl Client {
    /// Looks for the guard of a folder, for as long as this lives.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let (requests, asked) = mpsc::channel(1);
        let (told, status) = watch::channel(None);
        tokio::spawn(stay(folder.join(SOCKET), asked, told));
        Self {
            requests,
            status,
            folder: folder.to_owned(),
        }
    }

    /// Has the guard go by an order, which is on its disk once this returns. The guard gives it its
    /// serial, which is what comes back; the order's own is of no meaning. An order that says what
    /// the latest says has the latest's serial.
    ///
    /// # Errors
    ///
    /// The guard doesn't answer, or refuses.
    pub async fn order(&self, order: Order) -> Result<u64, Error> {
        match self.ask(Request::Order(Box::new(order))).await? {
            Reply::Accepted { serial } => Ok(serial),
            Reply::Refused { reason } => Err(refusal(&reason)),
            Reply::Released | Reply::Status(_) => Err(Error::problem(STRANGE)),
        }
    }

    /// Has what runs run on without a guard, which then ends and forgets its order.
    ///
    /// # Errors
    ///
    /// The guard doesn't answer, or refuses.
    pub async fn release(&self) -> Result<(), Error> {
        match self.ask(Request::Release).await? {
            Reply::Released => Ok(()),
            Reply::Refused { reason } => Err(refusal(&reason)),
            Reply::Accepted { .. } | Reply::Status(_) => Err(Error::problem(STRANGE)),
        }
    }

    /// What the guard told last; none: it is away, or has no order yet.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Option<Status>> {
        self.status.clone()
    }

    /// The process that the guard began last, if it is there still: noted before it is the program,
    /// and no more once it was let go.
    #[must_use]
    pub fn began(&self) -> Option<u32> {
        store::began(&self.folder)
    }

    /// What runs on from earlier plans, of this guard or on the same data: whose programs print beside
    /// `log`.
    ///
    /// # Errors
    ///
    /// A note of it can't be read.
    pub fn let_go(&self, log: &Path) -> Result<Vec<LetGo>, Error> {
        let_go::let_go(&self.folder, log)
    }

    async fn ask(&self, request: Request) -> Result<Reply, Error> {
        let (sender, answer) = oneshot::channel();
        // The task lives as long as this does.
        let _ = self.requests.send((request, sender)).await;
        answer
            .await
            .unwrap_or_else(|_| Err(Error::problem(STRANGE)))
    }
}

const STRANGE: &str = "the guard answered something else than was asked: is it of another version?";

fn refusal(reason: &str) -> Error {
    Error::problem(format!("the guard refuses: {reason}"))
}

async fn stay(
    path: PathBuf,
    mut asked: mpsc::Receiver<(Request, Waiting)>,
    told: watch::Sender<Option<Status>>,
) {
    loop {
        let gone = match UnixStream::connect(&path).await {
            Ok(stream) => {
                let gone = talk(stream, &mut asked, &told).await;
                told.send_replace(None);
                gone
            }
            Err(error) => error,
        };
        let reason = format!("the guard at {} does not answer: {gone}", path.display());
        let pause = sleep(RECONNECT);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                request = asked.recv() => match request {
                    Some((_, waiting)) => {
                        let _ = waiting.send(Err(Error::problem(&reason)));
                    }
                    None => return,
                },
            }
        }
    }
}

/// Talks until the guard is gone, and returns why.
async fn talk(
    stream: UnixStream,
    asked: &mut mpsc::Receiver<(Request, Waiting)>,
    told: &watch::Sender<Option<Status>>,
) -> std::io::Error {
    let (input, mut output) = stream.into_split();
    let (lines, mut said) = mpsc::channel(1);
    let reading = tokio::spawn(read(input, lines));
    let mut waiting: Option<Waiting> = None;
    let gone = loop {
        tokio::select! {
            reply = said.recv() => match reply {
                Some(Ok(Reply::Status(status))) => {
                    told.send_replace(Some(status));
                }
                Some(Ok(reply)) => if let Some(waiting) = waiting.take() {
                    let _ = waiting.send(Ok(reply));
                },
                Some(Err(error)) => break error,
                None => break std::io::ErrorKind::UnexpectedEof.into(),
            },
            request = asked.recv(), if waiting.is_none() => match request {
                Some((request, sender)) => {
                    waiting = Some(sender);
                    if let Err(error) = send(&mut output, &request).await {
                        break error;
                    }
                }
                None => break std::io::ErrorKind::NotConnected.into(),
            },
        }
    };
    reading.abort();
    if let Some(waiting) = waiting {
        let lost = format!("the guard went away before it answered: {gone}");
        let _ = waiting.send(Err(Error::problem(lost)));
    }
    gone
}

/// Reads in a task of its own: half a line is never lost to something else that happens.
async fn read(input: OwnedReadHalf, lines: mpsc::Sender<std::io::Result<Reply>>) {
    let mut input = BufReader::new(input);
    loop {
        let reply = match read_line(&mut input).await {
            Ok(Line::Whole(line)) => serde_json::from_slice(&line).map_err(std::io::Error::from),
            Ok(Line::TooLong) => Err(std::io::ErrorKind::InvalidData.into()),
            Ok(Line::Closed) => return,
            Err(error) => Err(error),
        };
        let is_last = reply.is_err();
        if lines.send(reply).await.is_err() || is_last {
            return;
        }
    }
}

async fn send(output: &mut OwnedWriteHalf, request: &Request) -> std::io::Result<()> {
    output.write_all(&line(request)).await
}
