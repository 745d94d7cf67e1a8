//! Records of drills: what a node found, as JSON that it signed with its own key.
//!
//! Whoever has such a record can tell that not one byte of it was changed, and by the digest of the key
//! which node it is of: the federation remembers with which key each was enrolled.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use hanse_core::dr::drill::{DrillReport, REPORT_LENGTH_MAX, SignedReport};
use rcgen::{PublicKeyData as _, SigningKey as _};

use super::node::{NodeIdentity, NodeIdentityError};
use crate::data::DataFolder;

/// What is signed begins so, lest a signature for one purpose serve another.
const CONTEXT: &[u8] = b"hanse drill 1\n";

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum DrillRecordError {
    /// The node has no key.
    #[error(transparent)]
    Identity(#[from] NodeIdentityError),
    /// The machinery failed.
    #[error("unable to sign: {0}")]
    Signing(#[from] rcgen::Error),
    /// It can't be written down.
    #[error("unable to write it down: {0}")]
    Writing(#[from] serde_json::Error),
    /// It would be too large.
    #[error("it has {0} bytes and may have {REPORT_LENGTH_MAX}")]
    TooLarge(usize),
    /// It is not what was signed.
    #[error("it is not as its node signed it")]
    Altered,
    /// It is signed, and makes no sense.
    #[error("it is signed, and can't be understood: {0}")]
    Malformed(serde_json::Error),
}

/// Signs what a drill found.
pub fn sign(folder: &DataFolder, report: &DrillReport) -> Result<SignedReport, DrillRecordError> {
    let text = serde_json::to_string(report)?;
    if text.len() > REPORT_LENGTH_MAX {
        return Err(DrillRecordError::TooLarge(text.len()));
    }
    let identity = NodeIdentity::open(folder)?;
    let signature = identity.key().sign(&signed_text(&text))?;
    Ok(SignedReport {
        signature,
        public_key: identity.key().subject_public_key_info(),
        text,
    })
}

/// Reads a record, if it is as it was signed. By whom, its public key says.
pub fn read(record: &SignedReport) -> Result<DrillReport, DrillRecordError> {
    if record.text.len() > REPORT_LENGTH_MAX {
        return Err(DrillRecordError::TooLarge(record.text.len()));
    }
    // All of it, its algorithm too: by the digest of these bytes the node is known.
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &record.public_key)
        .verify(&signed_text(&record.text), &record.signature)
        .map_err(|_| DrillRecordError::Altered)?;
    serde_json::from_str(&record.text).map_err(DrillRecordError::Malformed)
}

fn signed_text(text: &str) -> Vec<u8> {
    [CONTEXT, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use hanse_core::dr::drill::{DrillOutcome, MeasuredRpo};

    use super::*;
    use crate::identity::identity_key;

    fn report() -> DrillReport {
        DrillReport {
            federation: "baltic".parse().unwrap(),
            plan: "orders".parse().unwrap(),
            number: 7,
            cluster: "visby".parse().unwrap(),
            node: "visby-1".parse().unwrap(),
            workload: "postgresql".to_owned(),
            began_unix_s: 1,
            took_ms: 2,
            outcome: DrillOutcome::Passed,
            trouble: String::new(),
            copied_bytes: Some(3),
            copied_ms: Some(4),
            rpo: MeasuredRpo::default(),
            rto: None,
            checks: Vec::new(),
        }
    }

    #[test]
    fn what_a_node_signed_is_read_back_and_says_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let identity = NodeIdentity::open_or_generate(&folder).unwrap();
        let signed = sign(&folder, &report()).unwrap();
        assert_eq!(read(&signed).unwrap(), report());
        let key = identity.key().subject_public_key_info();
        assert_eq!(identity_key(&signed.public_key), identity_key(&key));
    }

    #[test]
    fn not_one_byte_can_be_changed_and_nobody_else_signs_for_a_node() {
        let [own, other] = [(), ()].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let place = DataFolder::new(folder.path());
            NodeIdentity::open_or_generate(&place).unwrap();
            sign(&place, &report()).unwrap()
        });
        for place in 0..own.text.len() {
            let mut changed = own.clone();
            let mut bytes = changed.text.into_bytes();
            bytes[place] ^= 1;
            changed.text = String::from_utf8(bytes).unwrap();
            read(&changed).unwrap_err();
        }
        let forged = SignedReport {
            public_key: own.public_key.clone(),
            ..other
        };
        read(&forged).unwrap_err();
        for place in 0..own.public_key.len() {
            let mut changed = own.clone();
            changed.public_key[place] ^= 1;
            read(&changed).unwrap_err();
        }
    }
}
