//! A connection on which no answer is longer than anybody here needs: a row may be as long as somebody
//! else's data is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest answer, in bytes.
pub(super) const ANSWER_LENGTH_MAX: usize = 16 << 20;

/// How much of an answer was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Measure(Arc<AtomicUsize>);

/// A connection that breaks once an answer is too long.
pub(super) struct Measured<S> {
    stream: S,
    measure: Measure,
}

impl Measure {
    /// Another answer begins.
    pub(super) fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > ANSWER_LENGTH_MAX
    }

    pub(super) fn of<S>(&self, stream: S) -> Measured<S> {
        Measured {
            stream,
            measure: self.clone(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Measured<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut own.stream).poll_read(context, buffer);
        let length = buffer.filled().len().saturating_sub(before);
        own.measure.0.fetch_add(length, Ordering::Relaxed);
        match own.measure.is_exceeded() {
            true => Poll::Ready(Err(io::ErrorKind::FileTooLarge.into())),
            false => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Measured<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
