//! Durations as users write them.

use hanse_core::duration::Span;

/// Checks that a text is a duration.
pub(crate) fn duration(text: &str) -> Result<(), String> {
    text.parse::<Span>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}
