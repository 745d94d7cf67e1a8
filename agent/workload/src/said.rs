//! What programs say, line by line. A line that is too long is cut: nobody's memory is filled by it.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line of which all is kept, in bytes.
const LINE_MAX: usize = 16 << 10;

/// The lines of a pipe. Whoever gives up waiting for one loses nothing of it.
pub(crate) struct Lines<R> {
    pipe: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn of(pipe: R) -> Self {
        Self {
            pipe: BufReader::new(pipe),
            line: Vec::new(),
        }
    }

    /// The next one; none: there are no more.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            let bytes = self.pipe.fill_buf().await.ok()?;
            if bytes.is_empty() {
                return (!self.line.is_empty()).then(|| self.take());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = LINE_MAX - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let read = part.len() + usize::from(end.is_some());
            self.pipe.consume(read);
            if end.is_some() {
                return Some(self.take());
            }
        }
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        String::from_utf8_lossy(&line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_fills_no_memory() {
        let said = [b"one\n\n", &[b'x'; 100_000][..], b"\nlast"].concat();
        let mut lines = Lines::of(&said[..]);
        assert_eq!(lines.next().await.as_deref(), Some("one"));
        assert_eq!(lines.next().await.as_deref(), Some(""));
        assert_eq!(lines.next().await.unwrap().len(), LINE_MAX);
        assert_eq!(lines.next().await.as_deref(), Some("last"));
        assert_eq!(lines.next().await, None);
    }
}
