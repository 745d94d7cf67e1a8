//! DNS messages as bytes: as much of RFC 1035 as queries, updates and their answers need.
//!
//! No library: `hickory-proto` brings 79 crates (ICU's tables among them) and hides why a signature is
//! wrong, and `domain` signs with a second cryptographic library. Reading takes any bytes: it never
//! panics, and a compressed name only ever points backwards, so that it ends.

/// A record's type.
pub(super) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const TSIG: u16 = 250;
}

/// A record's class.
pub(super) mod class {
    pub(crate) const IN: u16 = 1;
    pub(crate) const NONE: u16 = 254;
    pub(crate) const ANY: u16 = 255;
}

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Query,
    Update,
}

impl Opcode {
    fn bits(self) -> u16 {
        match self {
            Self::Query => 0,
            Self::Update => 5 << 11,
        }
    }
}

const HEADER_BYTES: usize = 12;
const NAME_BYTES_MAX: usize = 255;
const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0xf << 11;
const AUTHORITATIVE: u16 = 1 << 10;
/// What a section may have at most; ours have a handful.
const RECORDS_MAX: usize = 4096;

/// A message in the making. Its sections are filled in their order.
pub(super) struct Builder {
    bytes: Vec<u8>,
    counts: [u16; 4],
}

impl Builder {
    pub(super) fn new(id: u16, opcode: Opcode) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend(id.to_be_bytes());
        bytes.extend(opcode.bits().to_be_bytes());
        bytes.extend([0; 8]);
        let counts = [0; 4];
        Self { bytes, counts }
    }

    /// A question, or the zone of an update.
    pub(super) fn question(&mut self, name: &[u8], kind: u16) {
        self.bytes.extend(name);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(class::IN.to_be_bytes());
        self.counts[0] += 1;
    }

    /// A record of section 1 (answers, prerequisites), 2 (authority, updates) or 3 (additional).
    pub(super) fn record(
        &mut self,
        section: usize,
        name: &[u8],
        (kind, class, ttl_s): (u16, u16, u32),
        data: &[u8],
    ) {
        self.bytes.extend(name);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(class.to_be_bytes());
        self.bytes.extend(ttl_s.to_be_bytes());
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(&data[..usize::from(length)]);
        self.counts[section] += 1;
    }

    /// The message so far.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (place, count) in self.counts.iter().enumerate() {
            bytes[4 + 2 * place..6 + 2 * place].copy_from_slice(&count.to_be_bytes());
        }
        bytes
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Its name, as in a message, without compression, in lower case.
    pub(super) name: Vec<u8>,
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) ttl_s: u32,
    pub(super) data: Vec<u8>,
    /// Where in the message it begins.
    pub(super) start: usize,
}

/// A message as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u16,
    flags: u16,
    /// Answers, authority, additional.
    pub(super) sections: [Vec<Record>; 3],
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// What of it makes no sense.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader::new(bytes);
        let id = reader.u16()?;
        let flags = reader.u16()?;
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = usize::from(reader.u16()?);
        }
        let [questions, counts @ ..] = counts;
        for _ in 0..questions {
            reader.name()?;
            reader.u16()?;
            reader.u16()?;
        }
        let mut sections = [const { Vec::new() }; 3];
        for (section, count) in sections.iter_mut().zip(counts) {
            if count > RECORDS_MAX {
                return Err("it has too many records");
            }
            for _ in 0..count {
                section.push(reader.record()?);
            }
        }
        if reader.at != bytes.len() {
            return Err("there is more behind its end");
        }
        let message = Self {
            id,
            flags,
            sections,
        };
        Ok(message)
    }

    pub(super) fn answers(&self, id: u16, opcode: Opcode) -> bool {
        self.id == id && self.flags & RESPONSE != 0 && self.flags & OPCODE == opcode.bits()
    }

    pub(super) fn is_authoritative(&self) -> bool {
        self.flags & AUTHORITATIVE != 0
    }

    pub(super) fn code(&self) -> u16 {
        self.flags & 0xf
    }
}

/// Reads what numbers and names are made of.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(count).ok_or("a length is too large")?;
        let taken = self.bytes.get(self.at..end).ok_or("it ends too early")?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, &'static str> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// 48 bits: a time of TSIG.
    pub(super) fn u48(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from(self.u16()?) << 32 | u64::from(self.u32()?))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// A name, without compression, in lower case.
    pub(super) fn name(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut name = Vec::new();
        // Where the name goes on once it was followed elsewhere.
        let mut after = None;
        // Each part begins before all parts that led there.
        let mut earliest = self.at;
        loop {
            let length = self.u8()?;
            match length >> 6 {
                0 => {
                    name.push(length);
                    let label = self.take(usize::from(length))?;
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    if name.len() > NAME_BYTES_MAX {
                        return Err("a name is too long");
                    }
                    if length == 0 {
                        break;
                    }
                }
                3 => {
                    let low = self.u8()?;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    if target >= earliest || target < HEADER_BYTES {
                        return Err("a name points nowhere");
                    }
                    after.get_or_insert(self.at);
                    earliest = target;
                    self.at = target;
                }
                _ => return Err("a name has a part of no known kind"),
            }
        }
        self.at = after.unwrap_or(self.at);
        Ok(name)
    }

    fn record(&mut self) -> Result<Record, &'static str> {
        let start = self.at;
        let name = self.name()?;
        let kind = self.u16()?;
        let class = self.u16()?;
        let ttl_s = self.u32()?;
        let length = usize::from(self.u16()?);
        let data = self.take(length)?.to_vec();
        let record = Record {
            name,
            kind,
            class,
            ttl_s,
            data,
            start,
        };
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> Vec<u8> {
        let mut builder = Builder::new(7, Opcode::Update);
        builder.question(b"\x07example\x03org\x00", kind::SOA);
        let head = (kind::TXT, class::IN, 30);
        builder.record(1, b"\x03app\xc0\x0c", head, b"\x07epoch=7");
        builder.record(2, b"\xc0\x0c", (kind::A, class::IN, 30), &[192, 0, 2, 1]);
        builder.bytes()
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = Message::parse(&message()).unwrap();
        assert_eq!(message.id, 7);
        assert_eq!(
            message.sections[0][0].name,
            b"\x03app\x07example\x03org\x00"
        );
        assert_eq!(message.sections[0][0].data, b"\x07epoch=7");
        assert_eq!(message.sections[1][0].name, b"\x07example\x03org\x00");
        assert!(!message.answers(7, Opcode::Update), "it is no response");
    }

    #[test]
    fn a_name_that_points_at_itself_is_refused() {
        let mut bytes = Builder::new(7, Opcode::Query).bytes();
        bytes[5] = 1;
        for pointer in [
            &b"\xc0\x0c"[..],
            b"\x01a\xc0\x0c",
            b"\xc0\x0e\xc0\x0c",
            b"\xc0\x02",
        ] {
            let mut looped = bytes.clone();
            looped.extend(pointer);
            looped.extend([0, 1, 0, 1]);
            assert_eq!(Message::parse(&looped), Err("a name points nowhere"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn any_damage_is_read_or_refused(
            damage in proptest::collection::vec((0usize..80, any::<u8>()), 1..6),
            length in 0usize..90,
        ) {
            let mut bytes = message();
            for (place, value) in damage {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            bytes.truncate(length);
            let _ = Message::parse(&bytes);
        }
    }
}
