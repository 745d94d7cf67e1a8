//! How an entry or a snapshot is written: a version, a checksum, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version that is written.
const VERSION: u8 = 1;
/// The version and the checksum.
const HEADER_LENGTH: usize = 5;

/// Why a record can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It has no whole header.
    #[error("a record was cut short")]
    Short,
    /// It is of a version that is not known here.
    #[error("a record has the format version {0}, which this program doesn't know")]
    Version(u8),
    /// It was changed since it was written.
    #[error("a record does not match its checksum")]
    Checksum,
    /// It is no such thing.
    #[error("a record can't be understood: {0}")]
    Content(String),
}

/// Writes a value.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let content =
        serde_json::to_vec(value).map_err(|error| RecordError::Content(error.to_string()))?;
    let mut record = Vec::with_capacity(HEADER_LENGTH + content.len());
    record.push(VERSION);
    record.extend(crc32fast::hash(&content).to_le_bytes());
    record.extend(content);
    Ok(record)
}

/// Reads a value; any bytes give a value or an error.
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, RecordError> {
    let (header, content) = record
        .split_at_checked(HEADER_LENGTH)
        .ok_or(RecordError::Short)?;
    let [version, checksum @ ..] = header else {
        return Err(RecordError::Short);
    };
    if *version != VERSION {
        return Err(RecordError::Version(*version));
    }
    if crc32fast::hash(content).to_le_bytes() != *checksum {
        return Err(RecordError::Checksum);
    }
    serde_json::from_slice(content).map_err(|error| RecordError::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(words in proptest::collection::vec(".*", 0..5)) {
            prop_assert_eq!(decode::<Vec<String>>(&encode(&words).unwrap()), Ok(words));
        }

        #[test]
        fn a_changed_byte_is_noticed(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut record = encode(&["some", "words"]).unwrap();
            let place = place.index(record.len());
            record[place] ^= 1_u8 << bit;
            prop_assert!(decode::<Vec<String>>(&record).is_err());
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = decode::<Vec<String>>(&bytes);
        }
    }
}
