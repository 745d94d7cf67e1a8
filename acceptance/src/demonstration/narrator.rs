//! Tells a person what is going on: steps with the time they began, in colour on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use anyhow::{Context, Result};

/// Whoever tells the story, on standard output.
#[derive(Debug)]
pub struct Narrator {
    started: Instant,
    colourful: bool,
}

impl Narrator {
    /// Begins the story.
    #[must_use]
    pub fn new() -> Self {
        let is_colour_unwanted =
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            started: Instant::now(),
            colourful: io::stdout().is_terminal() && !is_colour_unwanted,
        }
    }

    /// Whether a person at a terminal listens.
    #[must_use]
    pub fn is_colourful(&self) -> bool {
        self.colourful
    }

    /// A new step.
    ///
    /// # Errors
    ///
    /// When nobody listens any more.
    pub fn step(&mut self, title: &str) -> Result<()> {
        let seconds = self.started.elapsed().as_secs();
        let (bold, plain) = if self.colourful {
            ("\u{1b}[1m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        self.write(&format!("{bold}==> [{seconds:3} s] {title}{plain}"))
    }

    /// What a step found.
    ///
    /// # Errors
    ///
    /// When nobody listens any more.
    pub fn show(&mut self, text: &str) -> Result<()> {
        self.write(
            &text
                .lines()
                .map(|line| format!("    {line}"))
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .context("unable to write")
    }
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new()
    }
}
