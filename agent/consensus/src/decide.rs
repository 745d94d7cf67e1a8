//! What is to be written for proposals that wait together: a pure step between queue and log.

use hanse_core::admission::{self, Admission, Refusal};
use hanse_core::command::{Entry, Request};
use hanse_core::finding::Finding;
use hanse_core::state::FederationState;

use crate::record;

/// So many bytes of entries go into one batch, or one entry alone: a batch must cross a slow link.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What is to be written, and what each proposal will be told.
#[derive(Debug)]
pub(crate) struct Decided {
    /// What is to be written, in order.
    pub(crate) entries: Vec<Entry>,
    /// For each proposal that was looked at, from the first on. There may be fewer than proposals:
    /// the rest belongs into the next batch.
    pub(crate) verdicts: Vec<Verdict>,
}

/// What a proposal will be told once it is certain.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The rules refuse it.
    Refused(Refusal),
    /// It stands at this revision.
    Stands {
        /// The revision that carries it.
        revision: u64,
        /// What is worth saying.
        warnings: Vec<Finding>,
        /// Whether it is new, and no repetition.
        is_new: bool,
    },
}

/// Decides on proposals, one after the other.
pub(crate) fn decide<'a>(
    state: &FederationState,
    proposals: impl Iterator<Item = (&'a str, &'a Request)>,
    now_unix_s: u64,
) -> Decided {
    let mut next = state.clone();
    let mut decided = Decided {
        entries: Vec::new(),
        verdicts: Vec::new(),
    };
    let mut length = 0;
    for (request_id, request) in proposals {
        let verdict = match admission::admit(&next, request_id, now_unix_s, request.clone()) {
            Err(refusal) => Verdict::Refused(refusal),
            Ok(Admission::Already { revision }) => Verdict::Stands {
                revision,
                warnings: Vec::new(),
                is_new: false,
            },
            Ok(Admission::Commit { entry, warnings }) => {
                length += record::encode(&*entry).map_or(0, |record| record.len());
                if length > BATCH_BYTES_MAX && !decided.entries.is_empty() {
                    break;
                }
                next.apply(&entry);
                decided.entries.push(*entry);
                Verdict::Stands {
                    revision: next.revision(),
                    warnings,
                    is_new: true,
                }
            }
        };
        decided.verdicts.push(verdict);
    }
    decided
}
