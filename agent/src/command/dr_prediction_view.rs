//! What is predicted of a DR plan's failover, as text and JSON.

use std::time::Duration;

use hanse_client::proto;
use hanse_core::dr::timings::Failure;
use serde_json::{Value, json};

/// How long a failover takes at most, and when it is that long, as a sentence goes on. Empty: it is not
/// known.
pub(super) fn worst(status: &proto::PlanStatus) -> String {
    let Some(predicted) = &status.predicted else {
        return String::new();
    };
    let total = Duration::from_millis(predicted.total_ms);
    let mut paths = status.paths.iter();
    let longest = paths.find(|path| path.predicted.as_ref() == Some(predicted));
    let failure = match longest {
        // An earlier voter tells of no paths, and of the host that dies alone.
        None => Some(Failure::Host),
        Some(path) => path.failure.parse().ok(),
    };
    let when = failure.map_or_else(String::new, |failure| format!(" when {}", failure.event()));
    format!(", at most {total:?}{when}")
}

/// How long each path takes at most, in one line.
pub(super) fn paths(status: &proto::PlanStatus) -> Option<String> {
    let told = status.paths.iter().filter_map(|path| {
        let total = Duration::from_millis(path.predicted.as_ref()?.total_ms);
        Some(format!("{} {total:?}", path.failure))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("  At most, by what goes away: {}", told.join(", ")))
}

/// For programs.
pub(super) fn to_json(part: &proto::Prediction) -> Value {
    json!({
        "detection_ms": part.detection_ms,
        "fencing_ms": part.fencing_ms,
        "promotion_ms": part.promotion_ms,
        "redirect_ms": part.redirect_ms,
        "total_ms": part.total_ms,
    })
}

/// Each path for programs, by what goes away.
pub(super) fn paths_to_json(status: &proto::PlanStatus) -> Value {
    let paths = status.paths.iter();
    let told = paths.map(|path| {
        let predicted = path.predicted.as_ref().map(to_json);
        (path.failure.clone(), predicted.unwrap_or_default())
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(failure: &str, total_ms: u64) -> proto::PredictedPath {
        proto::PredictedPath {
            failure: failure.into(),
            predicted: Some(proto::Prediction {
                total_ms,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn the_worst_path_is_named_and_each_one_is_told() {
        let mut status = proto::PlanStatus {
            predicted: path("", 16_600).predicted,
            ..Default::default()
        };
        let before = ", at most 16.6s when the primary's host dies";
        assert_eq!(worst(&status), before, "an earlier voter's word");
        status.paths = vec![path("host", 12_600), path("host-with-leader", 16_600)];
        assert_eq!(
            worst(&status),
            format!("{before} and the voters' leader with it")
        );
        assert_eq!(
            paths(&status).unwrap(),
            "  At most, by what goes away: host 12.6s, host-with-leader 16.6s"
        );
        let all = paths_to_json(&status);
        assert_eq!(all["host"]["total_ms"], 12_600);
    }

    #[test]
    fn nothing_is_told_of_what_is_not_known() {
        let status = proto::PlanStatus::default();
        assert_eq!((worst(&status), paths(&status)), (String::new(), None));
        assert_eq!(paths_to_json(&status), json!({}));
    }
}
