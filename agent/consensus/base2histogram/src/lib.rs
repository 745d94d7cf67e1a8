//! Stands in for the crate `base2histogram`, so that a voter doesn't keep 26 MiB of tables that
//! nothing reads (docs/adr/0019).
//!
//! openraft counts the sizes of its batches in histograms and shows them only with its feature
//! `runtime-stats`, which Hanse leaves off. The first histogram of the real crate fills the tables
//! of all its sixteen scales, and they stay for the life of the process. Here is what openraft
//! needs to compile without that feature, and nothing more: with it, it doesn't.

use std::fmt;
use std::marker::PhantomData;

/// A histogram that remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    slots: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// One that is empty, and stays so.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: PhantomData }
    }

    /// Takes a value, and forgets it.
    pub const fn record(&mut self, _value: u64) {}

    /// Takes a value as often as told, and forgets it.
    pub const fn record_n(&mut self, _value: u64, _times: u64) {}

    /// Those of no values.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats::default()
    }
}

/// What is said of the values of a histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were recorded.
    pub samples: u64,
    /// The value that 0.1 % are at most.
    pub p0_1: u64,
    /// The value that 1 % are at most.
    pub p1: u64,
    /// The value that 5 % are at most.
    pub p5: u64,
    /// The value that 10 % are at most.
    pub p10: u64,
    /// The value that half are at most.
    pub p50: u64,
    /// The value that 90 % are at most.
    pub p90: u64,
    /// The value that 99 % are at most.
    pub p99: u64,
    /// The value that 99.9 % are at most.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not counted")
    }
}

/// A drawing of histograms, with none.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart;

impl AsciiChart {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// The same: nothing is drawn.
    #[must_use]
    pub fn add(self, _name: &str, _histogram: Histogram) -> Self {
        self
    }
}
