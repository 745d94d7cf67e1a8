//! How those are told who hear of a DR plan's runs, as lines and JSON.

use hanse_client::proto;
use serde_json::{Value, json};

use super::output;

/// What needs somebody's eye: what is not delivered, how often that was tried, since when, and why not.
pub(super) fn remarks(plan: &str, hook: &proto::HookView) -> Vec<String> {
    let name = &hook.name;
    let mut lines = Vec::new();
    if !hook.trouble.is_empty() {
        let tried = match hook.attempts {
            0 => String::new(),
            attempts => format!(
                "tried {}, first {}; ",
                times(attempts),
                output::since(hook.failing_since_unix_s)
            ),
        };
        lines.push(format!(
            "! {plan}: the hook {name} is not delivered: {} ({tried}{})",
            hook.trouble,
            waiting(hook)
        ));
    }
    if !hook.given_up_why.is_empty() {
        lines.push(format!(
            "! {plan}: the hook {name} lost its latest event: {} ({} given up since the voter began)",
            hook.given_up_why, hook.given_up
        ));
    }
    lines
}

/// How it is, in one line.
pub(super) fn line(hook: &proto::HookView) -> String {
    let given_up = match hook.given_up {
        0 => String::new(),
        count => format!(", {count} given up since the voter began"),
    };
    format!("  Hook {}: {}{given_up}", hook.name, waiting(hook))
}

/// For programs.
pub(super) fn to_json(hook: &proto::HookView) -> Value {
    let moment = |unix_s: u64| Some(unix_s).filter(|unix_s| *unix_s > 0);
    json!({
        "name": hook.name,
        "waiting": hook.waiting,
        "oldest_unix_s": moment(hook.oldest_unix_s),
        "attempts": hook.attempts,
        "failing_since_unix_s": moment(hook.failing_since_unix_s),
        "given_up": hook.given_up,
        "given_up_why": hook.given_up_why,
        "trouble": hook.trouble,
    })
}

fn waiting(hook: &proto::HookView) -> String {
    let since = output::since(hook.oldest_unix_s);
    match hook.waiting {
        0 => "nothing waits".to_owned(),
        1 => format!("1 event waits, from {since}"),
        count => format!("{count} events wait, the oldest from {since}"),
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead() -> proto::HookView {
        proto::HookView {
            name: "pager".into(),
            waiting: 3,
            oldest_unix_s: 1_700_000_000,
            trouble: "it answered 503".into(),
            attempts: 7,
            failing_since_unix_s: 1_700_000_000,
            ..Default::default()
        }
    }

    #[test]
    fn a_hook_whose_receiver_is_away_says_how_often_it_was_tried_since_when_and_why() {
        let remarks = remarks("orders", &dead());
        let [remark] = remarks.as_slice() else {
            panic!("{remarks:?}");
        };
        let begin =
            "! orders: the hook pager is not delivered: it answered 503 (tried 7 times, first ";
        assert!(remark.starts_with(begin), "{remark}");
        assert!(
            remark.contains(" ago; 3 events wait, the oldest from "),
            "{remark}"
        );
        let json = to_json(&dead());
        assert_eq!(json["attempts"], 7);
        assert_eq!(json["failing_since_unix_s"], 1_700_000_000);
        assert_eq!(json["trouble"], "it answered 503");
    }

    #[test]
    fn a_hook_whose_receiver_wants_none_says_what_it_lost() {
        let hook = proto::HookView {
            name: "pager".into(),
            given_up: 2,
            given_up_why: "the receiver answered 404, which is final".into(),
            ..Default::default()
        };
        assert_eq!(
            remarks("orders", &hook),
            [
                "! orders: the hook pager lost its latest event: the receiver answered 404, which is \
                 final (2 given up since the voter began)"
            ]
        );
        let expected = "  Hook pager: nothing waits, 2 given up since the voter began";
        assert_eq!(line(&hook), expected);
    }

    #[test]
    fn a_hook_that_is_well_is_one_line_and_what_never_was_is_null() {
        let hook = proto::HookView {
            name: "pager".into(),
            ..Default::default()
        };
        assert!(remarks("orders", &hook).is_empty());
        assert_eq!(line(&hook), "  Hook pager: nothing waits");
        let json = to_json(&hook);
        for never in ["oldest_unix_s", "failing_since_unix_s"] {
            assert_eq!(json[never], Value::Null, "{never}");
        }
    }
}
