//! Lines of JSON from a pipe, for a process that has no runtime and may wait in one place only.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::message::LINE_BYTES_MAX;

const READ_BYTES: usize = 16 << 10;

/// A pipe and what of it was read and not yet taken.
#[derive(Debug)]
pub(crate) struct Lines {
    pipe: OwnedFd,
    read: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe,
            read: Vec::new(),
        }
    }

    /// Reads once; false once there is no more.
    pub(crate) fn fill(&mut self) -> bool {
        if self.read.len() > LINE_BYTES_MAX {
            return false;
        }
        let mut part = [0; READ_BYTES];
        loop {
            match rustix::io::read(&self.pipe, &mut part) {
                Ok(0) => return false,
                Ok(length) => {
                    self.read.extend_from_slice(&part[..length]);
                    return true;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// The next whole line that was read; none: there is none yet.
    pub(crate) fn next<M: DeserializeOwned>(&mut self) -> Option<Result<M, Error>> {
        let end = self.read.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.read.drain(..=end).collect();
        Some(serde_json::from_slice(&line).map_err(|error| Error::Io {
            operation: "understand a line of the guard: both must be of one version".to_owned(),
            source: error.into(),
        }))
    }

    /// Waits for a line; none: there is no more.
    pub(crate) fn wait<M: DeserializeOwned>(&mut self) -> Result<Option<M>, Error> {
        loop {
            if let Some(message) = self.next() {
                return message.map(Some);
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
