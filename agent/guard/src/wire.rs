//! What goes over a guard's socket: a line of JSON each.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::message::LINE_BYTES_MAX;
use crate::order::{Order, Status};

/// The socket's name in the guard's folder.
pub(crate) const SOCKET: &str = "socket";

/// What is asked of a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Go by this order. The guard gives it its serial.
    Order(Box<Order>),
    /// Let what runs run on without a guard, and end.
    Release,
}

/// What a guard says. Statuses come unasked; each request has one of the others for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// How it is.
    Status(Status),
    /// The order is on the disk, under this serial.
    Accepted { serial: u64 },
    /// What runs is without a guard.
    Released,
    /// The request is not obeyed, and why.
    Refused { reason: String },
}

/// A line without its end.
pub(crate) enum Line {
    Whole(Vec<u8>),
    TooLong,
    Closed,
}

/// Reads a line of bounded length.
pub(crate) async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Line> {
    let mut line = Vec::new();
    let most = LINE_BYTES_MAX as u64;
    reader.take(most).read_until(b'\n', &mut line).await?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() + 1 >= LINE_BYTES_MAX => Line::TooLong,
        Some(_) | None => Line::Closed,
    })
}
