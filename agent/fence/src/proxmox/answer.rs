//! What Proxmox VE says. Pure.

use std::fmt::Write as _;

use hanse_redirect::Answer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::shortened;

/// The longest id of a task.
const TASK_BYTES_MAX: usize = 256;

/// A machine as it is.
#[derive(Debug, Deserialize)]
pub(super) struct Current {
    pub(super) status: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) vmid: Option<u32>,
    pub(super) lock: Option<String>,
}

/// A task as it is.
#[derive(Debug, Deserialize)]
pub(super) struct TaskStatus {
    pub(super) status: String,
    pub(super) exitstatus: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// Reads an answer.
///
/// # Errors
///
/// What of it makes no sense.
pub(super) fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let read = serde_json::from_slice::<Envelope<T>>(body);
    read.map(|it| it.data)
        .map_err(|error| shortened(&error.to_string()))
}

/// Why it refuses: newer versions say it in the body, older ones beside the status.
pub(super) fn said(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: Option<String>,
    }
    let body = serde_json::from_slice::<Refusal>(&answer.body).ok();
    let said = body.and_then(|it| it.message).or(answer.reason.clone());
    shortened(said.as_deref().unwrap_or("it says nothing"))
}

/// A task's id as a part of a URL; none: it is no id.
pub(super) fn task_in_url(task: &str) -> Option<String> {
    if !task.starts_with("UPID:") || task.len() > TASK_BYTES_MAX || !task.is_ascii() {
        return None;
    }
    let mut escaped = String::new();
    for byte in task.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'@' => {
                escaped.push(char::from(byte));
            }
            // Writing to a string doesn't fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    Some(escaped)
}
