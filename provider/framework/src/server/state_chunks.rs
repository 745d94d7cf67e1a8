//! States in chunks: cut for Terraform to read, and put together as it writes. Every length and
//! position from outside is a claim: it is held against the bytes that came, and no memory is
//! taken for it before.

use crate::proto::tfplugin6::{StateRange, read_state_bytes, write_state_bytes};

/// How large a chunk is where the caller proposes nothing.
const CHUNK_BYTES_DEFAULT: usize = 8 << 20;

/// How large a chunk may be: Terraform refuses more.
const CHUNK_BYTES_MAX: usize = 128 << 20;

/// The chunk size for what the caller proposes.
pub(super) fn agree(proposed_bytes: i64) -> usize {
    match usize::try_from(proposed_bytes) {
        Ok(0) | Err(_) => CHUNK_BYTES_DEFAULT,
        Ok(bytes) => bytes.min(CHUNK_BYTES_MAX),
    }
}

/// A state as a stream of chunks, each full but for the last. An empty one has no chunk.
pub(super) fn chunks(
    state: &[u8],
    chunk_bytes: usize,
) -> impl Iterator<Item = read_state_bytes::Response> {
    let total_length = wire_length(state.len());
    let pieces = state.chunks(chunk_bytes.max(1)).enumerate();
    pieces.map(move |(index, bytes)| {
        let start = index * chunk_bytes;
        // The end is the position of the last byte, not the one after it.
        let range = StateRange {
            start: wire_length(start),
            end: wire_length(start + bytes.len() - 1),
        };
        read_state_bytes::Response {
            bytes: bytes.to_vec(),
            total_length,
            range: Some(range),
            diagnostics: Vec::new(),
        }
    })
}

/// A state that is being written, as far as it came.
pub(super) struct Assembly {
    chunk_bytes: usize,
    state_bytes_max: usize,
    total_bytes: Option<usize>,
    state: Vec<u8>,
}

impl Assembly {
    pub(super) fn new(chunk_bytes: usize, state_bytes_max: usize) -> Self {
        Self {
            chunk_bytes,
            state_bytes_max,
            total_bytes: None,
            state: Vec::new(),
        }
    }

    /// Takes the next chunk, or says why it can't be the next one.
    pub(super) fn push(&mut self, chunk: &write_state_bytes::RequestChunk) -> Result<(), String> {
        let total_bytes = self.total(chunk.total_length)?;
        let came = chunk.bytes.len();
        if came == 0 {
            return Err("A chunk is empty".to_owned());
        }
        if came > self.chunk_bytes {
            let agreed = self.chunk_bytes;
            return Err(format!(
                "A chunk has {came} bytes, and {agreed} were agreed"
            ));
        }
        let Some(StateRange { start, end }) = chunk.range else {
            return Err("A chunk doesn't say which bytes it holds".to_owned());
        };
        let (first, last) = (self.state.len(), self.state.len() + came - 1);
        if (start, end) != (wire_length(first), wire_length(last)) {
            return Err(format!(
                "A chunk of {came} bytes claims to hold bytes {start} to {end}, and {first} to \
                 {last} come next"
            ));
        }
        if last >= total_bytes {
            return Err(format!("More came than the announced {total_bytes} bytes"));
        }
        self.state.extend_from_slice(&chunk.bytes);
        Ok(())
    }

    /// The whole state, or what is missing of it.
    pub(super) fn finish(self) -> Result<Vec<u8>, String> {
        let came = self.state.len();
        match self.total_bytes {
            None => Err("No bytes came".to_owned()),
            Some(total_bytes) if total_bytes != came => Err(format!(
                "Only {came} of the announced {total_bytes} bytes came"
            )),
            Some(_) => Ok(self.state),
        }
    }

    fn total(&mut self, claimed: i64) -> Result<usize, String> {
        let limit = self.state_bytes_max;
        let claimed = usize::try_from(claimed)
            .map_err(|_| format!("A length of {claimed} bytes was announced"))?;
        if claimed > limit {
            return Err(format!(
                "{claimed} bytes were announced, and this store takes up to {limit}"
            ));
        }
        match *self.total_bytes.get_or_insert(claimed) {
            total_bytes if total_bytes == claimed => Ok(total_bytes),
            total_bytes => Err(format!(
                "First {total_bytes} bytes were announced, then {claimed}"
            )),
        }
    }
}

/// No length in memory exceeds what the protocol can say.
fn wire_length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: &[u8], total_length: i64, start: i64) -> write_state_bytes::RequestChunk {
        let end = start.saturating_add(wire_length(bytes.len()) - 1);
        write_state_bytes::RequestChunk {
            meta: None,
            bytes: bytes.to_vec(),
            total_length,
            range: Some(StateRange { start, end }),
        }
    }

    /// What becomes of chunks of at most 4 bytes, in a store of at most 10.
    fn assemble(chunks: &[write_state_bytes::RequestChunk]) -> Result<Vec<u8>, String> {
        let mut assembly = Assembly::new(4, 10);
        for chunk in chunks {
            assembly.push(chunk)?;
        }
        assembly.finish()
    }

    #[test]
    fn what_is_cut_can_be_put_together_whatever_its_length() {
        for length in 1..=10_u8 {
            let state: Vec<u8> = (0..length).collect();
            let cut: Vec<_> = chunks(&state, 4)
                .map(|chunk| write_state_bytes::RequestChunk {
                    meta: None,
                    bytes: chunk.bytes,
                    total_length: chunk.total_length,
                    range: chunk.range,
                })
                .collect();
            assert_eq!(assemble(&cut), Ok(state));
            assert!(cut.iter().rev().skip(1).all(|chunk| chunk.bytes.len() == 4));
        }
        assert_eq!(chunks(&[], 4).count(), 0);
    }

    #[test]
    fn every_claim_is_held_against_what_came() {
        let backwards = write_state_bytes::RequestChunk {
            range: Some(StateRange { start: 0, end: -1 }),
            ..chunk(b"abcd", 8, 0)
        };
        let nowhere = write_state_bytes::RequestChunk {
            range: None,
            ..chunk(b"abcd", 8, 0)
        };
        let first = || chunk(b"abcd", 8, 0);
        for (chunks, why) in [
            (vec![], "No bytes"),
            (vec![first()], "Only 4 of the announced 8"),
            (vec![chunk(b"abcd", 8, 4)], "0 to 3 come next"),
            (vec![first(), chunk(b"cdef", 8, 2)], "4 to 7 come next"),
            (vec![first(), chunk(b"efgh", 8, 5)], "4 to 7 come next"),
            (vec![first(), first()], "4 to 7 come next"),
            (vec![chunk(b"abcd", 8, -4)], "claims to hold bytes -4"),
            (vec![chunk(b"abcd", 8, i64::MAX)], "0 to 3 come next"),
            (vec![backwards], "bytes 0 to -1"),
            (vec![nowhere], "which bytes"),
            (vec![chunk(b"", 8, 0)], "empty"),
            (vec![chunk(b"abcde", 8, 0)], "4 were agreed"),
            (vec![chunk(b"abcd", i64::MAX, 0)], "takes up to 10"),
            (vec![chunk(b"abcd", 11, 0)], "takes up to 10"),
            (vec![chunk(b"abcd", -1, 0)], "length of -1"),
            (vec![chunk(b"abcd", 0, 0)], "More came"),
            (vec![first(), chunk(b"efgh", 9, 4)], "then 9"),
            (
                vec![chunk(b"abcd", 6, 0), chunk(b"efgh", 6, 4)],
                "More came",
            ),
        ] {
            let found = assemble(&chunks).unwrap_err();
            assert!(found.contains(why), "{chunks:?}: {found}");
        }
    }

    #[test]
    fn a_chunk_size_is_what_is_proposed_within_bounds() {
        assert_eq!(agree(4096), 4096);
        assert_eq!(agree(0), CHUNK_BYTES_DEFAULT);
        assert_eq!(agree(i64::MIN), CHUNK_BYTES_DEFAULT);
        assert_eq!(agree(i64::MAX), CHUNK_BYTES_MAX);
    }
}
