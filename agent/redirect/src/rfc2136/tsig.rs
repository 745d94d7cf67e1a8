//! Signatures of messages: TSIG, RFC 8945.

use aws_lc_rs::hmac;

use super::wire::{Message, Reader, class, kind};
use crate::error::{ConfigError, DnsProblem};
use crate::name::DnsName;
use crate::secret::Secret;

/// How far clocks may be apart, in seconds.
const FUDGE_S: u16 = 300;
/// What a secret has at least: shorter ones can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// How messages are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// hmac-sha256.
    HmacSha256,
    /// hmac-sha384.
    HmacSha384,
    /// hmac-sha512.
    HmacSha512,
}

impl TsigAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> &'static [u8] {
        match self {
            Self::HmacSha256 => b"\x0bhmac-sha256\x00",
            Self::HmacSha384 => b"\x0bhmac-sha384\x00",
            Self::HmacSha512 => b"\x0bhmac-sha512\x00",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}

/// A key that a server knows too.
#[derive(Debug, Clone)]
pub struct TsigKey {
    name: DnsName,
    algorithm: TsigAlgorithm,
    secret: Secret,
}

impl TsigKey {
    /// A key by its name, with its secret in Base64, as servers' configurations have it.
    ///
    /// # Errors
    ///
    /// The secret is not Base64, or too short.
    pub fn try_new(
        name: DnsName,
        algorithm: TsigAlgorithm,
        secret_base64: &str,
    ) -> Result<Self, ConfigError> {
        use base64::Engine as _;
        let problem = |what: &str| ConfigError::Value {
            what: format!("the secret of the TSIG key {name} {what}"),
        };
        let secret = base64::engine::general_purpose::STANDARD
            .decode(secret_base64.trim())
            .map_err(|_| problem("is not Base64: give it as `tsig-keygen` shows it"))?;
        if secret.len() < SECRET_BYTES_MIN {
            return Err(problem(
                "has less than 16 bytes: make a new one with `tsig-keygen`",
            ));
        }
        let secret = Secret::new(secret);
        Ok(Self {
            name,
            algorithm,
            secret,
        })
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(self.algorithm.hmac(), self.secret.bytes())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DnsName {
        &self.name
    }

    /// Signs a message without a signature; also yields the signature, which the answer's rests on.
    pub(super) fn sign(&self, message: &[u8], now_unix_s: u64) -> (Vec<u8>, Vec<u8>) {
        let tsig = Tsig {
            algorithm: self.algorithm.wire().to_vec(),
            time_unix_s: now_unix_s,
            fudge_s: FUDGE_S,
            mac: Vec::new(),
            original_id: u16::from_be_bytes([message[0], message[1]]),
            error: 0,
            other: Vec::new(),
        };
        let digest = self.digest(None, message, &tsig);
        let mac = hmac::sign(&self.key(), &digest).as_ref().to_vec();
        let data = Tsig {
            mac: mac.clone(),
            ..tsig
        }
        .data();
        let mut signed = message.to_vec();
        let count = u16::from_be_bytes([signed[10], signed[11]]) + 1;
        signed[10..12].copy_from_slice(&count.to_be_bytes());
        signed.extend(self.name.wire());
        signed.extend(kind::TSIG.to_be_bytes());
        signed.extend(class::ANY.to_be_bytes());
        signed.extend([0; 4]);
        signed.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        signed.extend(data);
        (signed, mac)
    }

    /// Whether an answer was signed with this key, as an answer to the request of this signature.
    ///
    /// # Errors
    ///
    /// It is not, or the server didn't believe our signature.
    pub(super) fn verify(
        &self,
        request_mac: &[u8],
        bytes: &[u8],
        message: &Message,
        now_unix_s: u64,
    ) -> Result<(), Verdict> {
        let forged = || {
            let key = self.name.to_string();
            Verdict::Problem(DnsProblem::Forged { key })
        };
        let [.., additional] = &message.sections;
        let Some(record) = additional.last().filter(|last| last.kind == kind::TSIG) else {
            return Err(Verdict::Unsigned);
        };
        let tsig = Tsig::parse(&record.data).map_err(Verdict::Malformed)?;
        // These two come without a signature: there is none that both know.
        match tsig.error {
            16 => {
                let key = self.name.to_string();
                return Err(Verdict::Problem(DnsProblem::BadSig { key }));
            }
            17 => {
                return Err(Verdict::Problem(DnsProblem::BadKey {
                    key: self.name.to_string(),
                    algorithm: self.algorithm.name(),
                }));
            }
            22 => return Err(Verdict::Problem(DnsProblem::BadTrunc)),
            _ => {}
        }
        let is_usual = record.class == class::ANY && record.ttl_s == 0;
        if record.name != self.name.wire() || tsig.algorithm != self.algorithm.wire() || !is_usual {
            return Err(forged());
        }
        // As it was before it was signed.
        let mut unsigned = bytes[..record.start].to_vec();
        let count = u16::from_be_bytes([unsigned[10], unsigned[11]]).wrapping_sub(1);
        unsigned[..2].copy_from_slice(&tsig.original_id.to_be_bytes());
        unsigned[10..12].copy_from_slice(&count.to_be_bytes());
        let digest = self.digest(Some(request_mac), &unsigned, &tsig);
        hmac::verify(&self.key(), &digest, &tsig.mac).map_err(|_| forged())?;
        // From here on, this is the server's word.
        let server_unix_s = match (tsig.error, tsig.other.as_slice()) {
            (18, other) => Reader::new(other).u48().unwrap_or(tsig.time_unix_s),
            _ => tsig.time_unix_s,
        };
        let apart_s = server_unix_s.abs_diff(now_unix_s);
        if tsig.error == 18 || apart_s > u64::from(FUDGE_S) {
            return Err(Verdict::Problem(DnsProblem::BadTime {
                server_unix_s,
                own_unix_s: now_unix_s,
                apart_s,
                fudge_s: FUDGE_S,
            }));
        }
        Ok(())
    }

    /// What is signed.
    fn digest(&self, request_mac: Option<&[u8]>, message: &[u8], tsig: &Tsig) -> Vec<u8> {
        let mut digest = Vec::with_capacity(message.len() + 128);
        if let Some(mac) = request_mac {
            digest.extend(u16::try_from(mac.len()).unwrap_or(0).to_be_bytes());
            digest.extend(mac);
        }
        digest.extend(message);
        digest.extend(self.name.wire());
        digest.extend(class::ANY.to_be_bytes());
        digest.extend([0; 4]);
        digest.extend(&tsig.algorithm);
        digest.extend(&tsig.time_unix_s.to_be_bytes()[2..]);
        digest.extend(tsig.fudge_s.to_be_bytes());
        digest.extend(tsig.error.to_be_bytes());
        digest.extend(u16::try_from(tsig.other.len()).unwrap_or(0).to_be_bytes());
        digest.extend(&tsig.other);
        digest
    }
}

/// Why an answer is not believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has no signature.
    Unsigned,
    /// Its signature is none.
    Malformed(&'static str),
    /// It, or our own signature, is wrong.
    Problem(DnsProblem),
}

/// What a TSIG record holds.
struct Tsig {
    algorithm: Vec<u8>,
    time_unix_s: u64,
    fudge_s: u16,
    mac: Vec<u8>,
    original_id: u16,
    error: u16,
    other: Vec<u8>,
}

impl Tsig {
    fn parse(data: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader::new(data);
        let algorithm = reader.name()?;
        let time_unix_s = reader.u48()?;
        let fudge_s = reader.u16()?;
        let length = reader.u16()?;
        let mac = reader.take(usize::from(length))?.to_vec();
        let original_id = reader.u16()?;
        let error = reader.u16()?;
        let length = reader.u16()?;
        let other = reader.take(usize::from(length))?.to_vec();
        if !reader.is_at_end() {
            return Err("its signature has more than a signature has");
        }
        Ok(Self {
            algorithm,
            time_unix_s,
            fudge_s,
            mac,
            original_id,
            error,
            other,
        })
    }

    fn data(&self) -> Vec<u8> {
        let mut data = self.algorithm.clone();
        data.extend(&self.time_unix_s.to_be_bytes()[2..]);
        data.extend(self.fudge_s.to_be_bytes());
        data.extend(u16::try_from(self.mac.len()).unwrap_or(0).to_be_bytes());
        data.extend(&self.mac);
        data.extend(self.original_id.to_be_bytes());
        data.extend(self.error.to_be_bytes());
        data.extend(u16::try_from(self.other.len()).unwrap_or(0).to_be_bytes());
        data.extend(&self.other);
        data
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{Builder, Opcode};
    use super::*;

    fn key(secret: &str) -> TsigKey {
        let name = "hanse".parse().unwrap();
        TsigKey::try_new(name, TsigAlgorithm::HmacSha384, secret).unwrap()
    }

    fn known() -> TsigKey {
        key("c2VjcmV0IG9mIHNpeHRlZW4gYnl0ZXM=")
    }

    /// An answer to a request of the signature `request_mac`, signed as a server does.
    fn answer(request_mac: &[u8], time_unix_s: u64) -> Vec<u8> {
        let key = known();
        let mut builder = Builder::new(7, Opcode::Query);
        builder.question(b"\x03app\x00", kind::A);
        let message = builder.bytes();
        let mut tsig = Tsig {
            algorithm: key.algorithm.wire().to_vec(),
            time_unix_s,
            fudge_s: FUDGE_S,
            mac: Vec::new(),
            original_id: 7,
            error: 0,
            other: Vec::new(),
        };
        let digest = key.digest(Some(request_mac), &message, &tsig);
        tsig.mac = hmac::sign(&key.key(), &digest).as_ref().to_vec();
        let head = (kind::TSIG, class::ANY, 0);
        builder.record(3, &key.name.wire(), head, &tsig.data());
        builder.bytes()
    }

    fn judge(key: &TsigKey, mac: &[u8], bytes: &[u8], now: u64) -> Result<(), Verdict> {
        let message = Message::parse(bytes).map_err(Verdict::Malformed)?;
        key.verify(mac, bytes, &message, now)
    }

    #[test]
    fn only_the_right_key_for_the_right_request_at_the_right_time_is_believed() {
        let bytes = answer(b"mac", 1000);
        assert_eq!(judge(&known(), b"mac", &bytes, 1300), Ok(()));
        let forged = || {
            let key = "hanse".to_owned();
            Err(Verdict::Problem(DnsProblem::Forged { key }))
        };
        assert_eq!(judge(&known(), b"other", &bytes, 1000), forged());
        let other = key("YW5vdGhlciBzZWNyZXQgb2Ygc2l4dGVlbg==");
        assert_eq!(judge(&other, b"mac", &bytes, 1000), forged());
        let late = judge(&known(), b"mac", &bytes, 1301);
        assert!(
            matches!(
                late,
                Err(Verdict::Problem(DnsProblem::BadTime { apart_s: 301, .. }))
            ),
            "{late:?}"
        );
    }

    #[test]
    fn a_secret_that_is_none_is_told_and_not_shown() {
        let name: DnsName = "hanse".parse().unwrap();
        for secret in ["no base 64", "c2hvcnQ="] {
            let error = TsigKey::try_new(name.clone(), TsigAlgorithm::HmacSha256, secret);
            let said = error.unwrap_err().to_string();
            assert!(
                said.contains("tsig-keygen") && !said.contains(secret),
                "{said}"
            );
        }
        assert!(!format!("{:?}", known()).contains("secret of"));
    }

    proptest! {
        #[test]
        fn no_change_of_an_answer_is_believed(place in 0usize..150, bit in 0u8..8) {
            let good = answer(b"mac", 1000);
            let place = place % good.len();
            let mut bytes = good.clone();
            bytes[place] ^= 1 << bit;
            // The id is not signed, but its original is; names are the same in upper case.
            let believed = judge(&known(), b"mac", &bytes, 1000) == Ok(());
            let is_case = bit == 5 && good[place].is_ascii_alphabetic();
            prop_assert!(!believed || place < 2 || is_case, "byte {place}");
        }
    }
}
