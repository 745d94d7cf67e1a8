//! What is told of drills: how far they are, and what they found, signed by this node's key.

use hanse_client::{convert, proto};
use hanse_core::dr::drill::SignedReport;
use hanse_workload::DrillNews;

use crate::data::DataFolder;
use crate::identity::drill::sign;

/// Signs what drills found, once each: a signature is new each time.
pub(super) struct Signer {
    folder: DataFolder,
    latest: Option<(DrillNews, SignedReport)>,
}

impl Signer {
    pub(super) fn new(folder: DataFolder) -> Self {
        Self {
            folder,
            latest: None,
        }
    }

    /// News of a drill, for the wire.
    pub(super) fn tell(&mut self, news: &DrillNews) -> proto::DrillStatus {
        let report = news.report.as_ref().and_then(|report| {
            if let Some((known, signed)) = &self.latest
                && known == news
            {
                return Some(signed.clone());
            }
            match sign(&self.folder, report) {
                Ok(signed) => {
                    self.latest = Some((news.clone(), signed.clone()));
                    Some(signed)
                }
                Err(error) => {
                    tracing::error!(%error, "unable to sign what a drill found; trying again");
                    None
                }
            }
        });
        proto::DrillStatus {
            number: news.number,
            progress: news.progress.clone(),
            report: report.as_ref().map(convert::signed_report_to_proto),
        }
    }
}
