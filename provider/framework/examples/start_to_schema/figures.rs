//! What was measured, and the table of it. Knows nothing of how it was measured.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

use prost::Message;

/// What is measured, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Figure {
    Handshake,
    Schema,
    Resident,
    Anonymous,
    Binary,
}

/// The runs of one provider.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<Figure, Vec<f64>>);

/// How large a schema is: what makes two providers comparable.
#[derive(Debug)]
pub(crate) struct SchemaSize {
    bytes: usize,
    resources: usize,
    others: usize,
    attributes: usize,
}

impl Figure {
    const ALL: [Self; 5] = [
        Self::Handshake,
        Self::Schema,
        Self::Resident,
        Self::Anonymous,
        Self::Binary,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Handshake => "start to handshake line, ms",
            Self::Schema => "start to complete schema, ms",
            Self::Resident => "resident memory with the schema given, MiB",
            Self::Anonymous => "of it not backed by files, MiB",
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
        if figure == Figure::Binary {
            return format!("{middle:.1}");
        }
        format!("{middle:.1} ({low:.1}–{high:.1})")
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

impl fmt::Display for SchemaSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            resources,
            others,
            attributes,
        } = self;
        write!(
            formatter,
            "{resources} resources, {others} data sources and ephemeral resources, \
             {attributes} attributes at their top level, {bytes} bytes"
        )
    }
}

/// A Markdown table; the last columns are the first provider's median divided by the others'.
pub(crate) fn table(columns: &[(&str, &Figures)]) -> String {
    let Some(((first, ours), others)) = columns.split_first() else {
        return String::new();
    };
    let mut text = String::from("| |");
    for (name, _) in columns {
        let _ = write!(text, " {name} |");
    }
    for (name, _) in others {
        let _ = write!(text, " {first} : {name} |");
    }
    let _ = writeln!(
        text,
        "\n|---|{}",
        "--:|".repeat(columns.len() + others.len())
    );
    for figure in Figure::ALL {
        let _ = write!(text, "| {} |", figure.title());
        for (_, figures) in columns {
            let _ = write!(text, " {} |", figures.cell(figure));
        }
        for (_, figures) in others {
            let _ = write!(
                text,
                " {:.2} |",
                ours.median(figure) / figures.median(figure)
            );
        }
        text.push('\n');
    }
    text
}

/// Counts what is declared in an answer of protocol 5 or 6.
pub(crate) fn schema_size(answer: &[u8]) -> Result<SchemaSize, prost::DecodeError> {
    let Answer {
        resources,
        data_sources,
        ephemeral,
    } = Answer::decode(answer)?;
    let blocks = resources
        .values()
        .chain(data_sources.values())
        .chain(ephemeral.values());
    Ok(SchemaSize {
        bytes: answer.len(),
        resources: resources.len(),
        others: data_sources.len() + ephemeral.len(),
        attributes: blocks
            .filter_map(|s| s.block.as_ref())
            .map(|b| b.attributes.len())
            .sum(),
    })
}

/// The fields that the answers of both protocols have in common, by their numbers.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(map = "string, message", tag = "2")]
    resources: HashMap<String, Schema>,
    #[prost(map = "string, message", tag = "3")]
    data_sources: HashMap<String, Schema>,
    #[prost(map = "string, message", tag = "8")]
    ephemeral: HashMap<String, Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Schema {
    #[prost(message, optional, tag = "2")]
    block: Option<Block>,
}

#[derive(Clone, PartialEq, Message)]
struct Block {
    #[prost(message, repeated, tag = "2")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
}
