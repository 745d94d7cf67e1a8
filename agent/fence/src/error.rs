//! Why a machine isn't stopped for certain, each in a sentence that says what to do.

use std::time::Duration;

/// Why there is no fence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// It isn't stopped in time.
    #[error("no confirmed stop within {patience:?}: {last}")]
    Late {
        /// How long it was waited.
        patience: Duration,
        /// How it was last.
        last: String,
    },
    /// Nobody answers.
    #[error("unable to reach {server}: {why}. See that it runs and that TCP gets there")]
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        why: String,
    },
    /// The answer ended in its midst, or never came.
    #[error("{server} did not answer whole: {why}. Whether it took the request is unknown")]
    Cut {
        /// Where.
        server: String,
        /// Why.
        why: String,
    },
    /// It isn't who it should be.
    #[error(
        "{server} is not believed: {why}. Declare the certificate that it has (`openssl s_client \
         -connect HOST:8006 </dev/null | openssl x509 -noout -fingerprint -sha256`), or find out who \
         answers there"
    )]
    Certificate {
        /// Where.
        server: String,
        /// Why.
        why: String,
    },
    /// The answer makes no sense.
    #[error(
        "{server} answered what is no answer to what was asked: {what}. See what listens there"
    )]
    Malformed {
        /// Where.
        server: String,
        /// What of it.
        what: String,
    },
    /// It doesn't know who asks.
    #[error(
        "{server} does not take the {credential} ({said}). Declare one that it knows, with its \
             secret, and raise the secret's version"
    )]
    Credentials {
        /// Where.
        server: String,
        /// What was shown.
        credential: String,
        /// What it said.
        said: String,
    },
    /// Whoever asks may not.
    #[error("{server} refuses ({said}). Allow {needs}")]
    Denied {
        /// Where.
        server: String,
        /// What it said.
        said: String,
        /// What is needed.
        needs: String,
    },
    /// There is no such machine.
    #[error("{server} does not know {machine} ({said}). Declare where it is now")]
    NoMachine {
        /// Where.
        server: String,
        /// Which.
        machine: String,
        /// What it said.
        said: String,
    },
    /// It is another machine.
    #[error(
        "{machine} is called {found:?} and not {declared:?}: nothing was stopped. Declare the machine \
         that is meant"
    )]
    OtherMachine {
        /// Which.
        machine: String,
        /// What it is called.
        found: String,
        /// What it should be called.
        declared: String,
    },
    /// It doesn't run, and would go on where it was.
    #[error(
        "{machine} is off, but {why}: it could go on where it was, so that is no fence. {advice}"
    )]
    Kept {
        /// Which.
        machine: String,
        /// What is so.
        why: String,
        /// What to do.
        advice: String,
    },
    /// The stop was begun and failed.
    #[error("{machine} was to be stopped, and the task failed: {said}")]
    Task {
        /// Which.
        machine: String,
        /// What it said.
        said: String,
    },
    /// Another refusal.
    #[error("{server} answered HTTP {status}: {said}")]
    Refused {
        /// Where.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
}

/// What a server said, of which no more than a line is shown.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let is_shown = |character: &char| !character.is_control();
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(is_shown).take(SHOWN_MAX).collect()
}
