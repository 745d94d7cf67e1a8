//! Messages that are kept on the disk: a magic, a checksum, and the message as it came.

use prost::Message;

/// The magic and the checksum.
pub const HEADER_LENGTH: usize = MAGIC_LENGTH + 4;
const MAGIC_LENGTH: usize = 8;

/// A message as it is written.
#[must_use]
pub fn encode<M: Message>(magic: &[u8; MAGIC_LENGTH], message: &M) -> Vec<u8> {
    let content = message.encode_to_vec();
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + content.len());
    bytes.extend(magic);
    bytes.extend(crc32fast::hash(&content).to_le_bytes());
    bytes.extend(content);
    bytes
}

/// Reads a message; any bytes give one or none.
#[must_use]
pub fn decode<M: Message + Default>(magic: &[u8; MAGIC_LENGTH], bytes: &[u8]) -> Option<M> {
    let rest = bytes.strip_prefix(magic)?;
    let (checksum, content) = rest.split_at_checked(HEADER_LENGTH - MAGIC_LENGTH)?;
    if crc32fast::hash(content).to_le_bytes() != *checksum {
        return None;
    }
    M::decode(content).ok()
}
