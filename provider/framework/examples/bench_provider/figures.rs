//! What was measured, and the table of it. Knows nothing of how it was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Figure {
    Handshake,
    Schema,
    StartTime,
    Resident,
    Proportional,
    Anonymous,
    PlanNew,
    PlanExisting,
    ResidentAfter,
    ProportionalAfter,
    AnonymousAfter,
    Binary,
}

/// The runs of one provider.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<Figure, Vec<f64>>);

impl Figure {
    const ALL: [Self; 12] = [
        Self::Handshake,
        Self::Schema,
        Self::StartTime,
        Self::Resident,
        Self::Proportional,
        Self::Anonymous,
        Self::PlanNew,
        Self::PlanExisting,
        Self::ResidentAfter,
        Self::ProportionalAfter,
        Self::AnonymousAfter,
        Self::Binary,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Handshake => "start to handshake line, ms",
            Self::Schema => "start to complete schema, ms",
            Self::StartTime => "processor time of the same, ms",
            Self::Resident => "resident memory with the schema given, MiB",
            Self::Proportional => "of it by share (PSS), MiB",
            Self::Anonymous => "of it not backed by files, MiB",
            Self::PlanNew => "plan of 1,000 new objects, processor time, ms",
            Self::PlanExisting => "plan of 1,000 existing objects, processor time, ms",
            Self::ResidentAfter => "resident memory after both plans, MiB",
            Self::ProportionalAfter => "of it by share (PSS), MiB",
            Self::AnonymousAfter => "of it not backed by files, MiB",
            Self::Binary => "program file, MiB",
        }
    }
}

impl Figures {
    pub(crate) fn add(&mut self, figure: Figure, value: f64) {
        self.0.entry(figure).or_default().push(value);
    }

    fn cell(&self, figure: Figure) -> String {
        let [low, middle, high] = self.quartiles(figure);
        if middle.is_nan() {
            return "–".to_owned();
        }
        if figure == Figure::Binary {
            return format!("{middle:.1}");
        }
        format!("{middle:.1} ({low:.1}–{high:.1})")
    }

    /// How often the other's median this one's is.
    fn ratio(&self, to: &Self, figure: Figure) -> String {
        let ratio = self.median(figure) / to.median(figure);
        if ratio.is_nan() {
            return "–".to_owned();
        }
        format!("{ratio:.2}")
    }

    fn median(&self, figure: Figure) -> f64 {
        self.quartiles(figure)[1]
    }

    fn quartiles(&self, figure: Figure) -> [f64; 3] {
        let mut sorted = self.0.get(&figure).cloned().unwrap_or_default();
        sorted.sort_unstable_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| {
            let last = sorted.len().saturating_sub(1);
            sorted
                .get((last * quarter + 2) / 4)
                .copied()
                .unwrap_or(f64::NAN)
        })
    }
}

/// A Markdown table. Each of the last columns is one provider divided by another, which are named
/// by their places.
pub(crate) fn table(
    columns: &[(&str, &Figures)],
    ratios: impl Iterator<Item = (usize, usize)>,
) -> String {
    let ratios: Vec<_> = ratios
        .filter_map(|(of, by)| Some((columns.get(of)?, columns.get(by)?)))
        .collect();
    let mut text = String::from("| |");
    for (name, _) in columns {
        let _ = write!(text, " {name} |");
    }
    for ((of, _), (by, _)) in &ratios {
        let _ = write!(text, " {of} : {by} |");
    }
    let cells = columns.len() + ratios.len();
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(cells));
    for figure in Figure::ALL {
        let _ = write!(text, "| {} |", figure.title());
        for (_, figures) in columns {
            let _ = write!(text, " {} |", figures.cell(figure));
        }
        for ((_, of), (_, by)) in &ratios {
            let _ = write!(text, " {} |", of.ratio(by, figure));
        }
        text.push('\n');
    }
    text
}
