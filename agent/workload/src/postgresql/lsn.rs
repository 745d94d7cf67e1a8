//! Places in the log, as PostgreSQL writes them, and where a record ends.

/// Reads an LSN such as `16/B374D848`.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (high, low) = text.trim().split_once('/')?;
    let high = u32::from_str_radix(high, 16).ok()?;
    let low = u32::from_str_radix(low, 16).ok()?;
    Some((u64::from(high) << 32) | u64::from(low))
}

/// An LSN as PostgreSQL writes it.
pub(crate) fn show(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// How the log is cut into pages and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) page_bytes: u64,
    pub(crate) segment_bytes: u64,
}

const PAGE_HEADER_BYTES: u64 = 24;
const SEGMENT_HEADER_BYTES: u64 = 40;
const ALIGNMENT: u64 = 8;

impl Paging {
    /// Where a record of a length ends that begins here: pages begin with headers, which no record
    /// counts as its own.
    pub(crate) fn end_of(self, begin: u64, length: u64) -> u64 {
        let (mut at, mut left) = (begin, length);
        loop {
            let room = self.page_bytes - at % self.page_bytes;
            if left <= room {
                return (at + left).next_multiple_of(ALIGNMENT);
            }
            left -= room;
            at += room;
            at += match at % self.segment_bytes {
                0 => SEGMENT_HEADER_BYTES,
                _ => PAGE_HEADER_BYTES,
            };
        }
    }

    /// The name of the file that has a place of a timeline.
    pub(crate) fn file_name(self, timeline: u32, lsn: u64) -> String {
        let number = lsn / self.segment_bytes;
        let per_high = (1 << 32) / self.segment_bytes;
        format!(
            "{timeline:08X}{:08X}{:08X}",
            number / per_high,
            number % per_high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGING: Paging = Paging {
        page_bytes: 8192,
        segment_bytes: 16 << 20,
    };

    #[test]
    fn what_is_read_is_what_was_shown() {
        for lsn in [0, 0x0150_0718, 0x16_B374_D848, u64::MAX] {
            assert_eq!(parse(&show(lsn)), Some(lsn));
        }
        for wrong in ["", "1", "1/", "/1", "1/2/3", "g/0", "1/100000000"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_record_ends_behind_the_headers_of_the_pages_that_it_crosses() {
        assert_eq!(PAGING.end_of(0x0150_0718, 114), 0x0150_0790);
        assert_eq!(
            PAGING.end_of(8192 - 64, 114),
            8192 + 24 + 56,
            "50 are left, aligned"
        );
        assert_eq!(PAGING.end_of((16 << 20) - 8, 10), (16 << 20) + 40 + 8);
        assert_eq!(PAGING.end_of(8192 - 64, 64), 8192);
    }

    #[test]
    fn a_place_is_in_the_file_that_postgresql_says() {
        assert_eq!(PAGING.file_name(1, 0x0150_0718), "000000010000000000000001");
        assert_eq!(
            PAGING.file_name(0x1F, 0x16_B374_D848),
            "0000001F00000016000000B3"
        );
    }
}
