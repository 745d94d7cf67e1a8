//! Logs: text for people at a terminal, JSON for everything else; always on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How to write logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The variable that says what to log, as `tracing` filters do.
pub const FILTER_VARIABLE: &str = "HANSE_LOG";

/// What libraries say at the level of our own news concerns those who write them.
const LIBRARIES: &str = "openraft=error";

/// Starts logging; `default` is the level where [`FILTER_VARIABLE`] says nothing.
pub fn start(format: Option<LogFormat>, default: &str) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE)
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},{LIBRARIES}")));
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, in tests, changes nothing.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(is_terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
