//! The audit log of this voter, for admins to read.

use hanse_client::proto;
use hanse_core::finding::Path;
use tonic::Status;

use super::voter::{Voter, invalid};
use crate::audit::{Head, Record, reader};

/// The most lines of one answer.
const LINES_MAX: u32 = 1000;

/// Reads a page, or the end.
pub(super) async fn read(
    voter: &Voter,
    request: proto::AuditRequest,
) -> Result<proto::AuditResponse, Status> {
    let from = match request.from.as_str() {
        "" => None,
        text => Some(reader::Place::from_text(text).ok_or_else(|| {
            let detail = "It is what the answer before gave as `next`, or empty.";
            invalid(Path::of("from"), "Invalid place", detail)
        })?),
    };
    let count = request.limit.clamp(1, LINES_MAX) as usize;
    let files = voter.audit_files.clone();
    let reading = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
        // Read first: what is written meanwhile is more than it knows, and never less.
        let head = Head::read(&files.head())?;
        let page = if request.newest {
            let records = reader::tail(&files, count)?;
            let next = None;
            reader::Page { records, next }
        } else {
            reader::page(&files, from, count)?
        };
        Ok((head, page))
    });
    let (head, page) = reading
        .await
        .map_err(|_| Status::internal("reading the audit log failed"))?
        .map_err(|error| Status::internal(format!("unable to read the audit log: {error}")))?;
    Ok(proto::AuditResponse {
        records: page.records.into_iter().map(to_proto).collect(),
        next: page.next.map(reader::Place::to_text).unwrap_or_default(),
        head: head.map(|head| proto::AuditHead {
            number: head.number,
            hash: head.hash,
        }),
    })
}

fn to_proto(record: Record) -> proto::AuditRecord {
    let Record { file, line, text } = record;
    proto::AuditRecord { file, line, text }
}
