//! `hanse audit`: who did what, and whether the log is as it was written.

use std::path::Path;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use hanse_client::{Client, proto};
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;
use crate::audit::{Broken, Chain, Files, Head, Line, Record, Verdict, reader};
use crate::data::DataFolder;

const EXAMPLE: &str = "\
Every voter keeps a log of its own: ask each. With --data-dir the files are read, with no agent
running; otherwise the voter is asked, which takes an admin's credentials.

Examples:
  hanse audit --lines 100
  hanse audit --verify --data-dir /var/lib/hanse
  hanse audit --verify --expect 4711:9f2c…   (what an earlier --verify printed)";

/// Lines that are asked for at a time.
const PAGE_LINES: u32 = 1000;

/// Shows or verifies the audit log.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Audit {
    /// Check the whole chain, and name the first line that is not as it was written
    #[arg(long)]
    verify: bool,
    /// A line's number and hash as --verify printed them earlier: it must still be so
    #[arg(long, value_name = "NUMBER:HASH", requires = "verify")]
    expect: Option<Expected>,
    /// How many lines to show, from the end
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 50,
        conflicts_with = "verify"
    )]
    lines: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What an earlier verification found last.
#[derive(Debug, Clone)]
struct Expected(Head);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let head = parts.and_then(|(number, hash)| {
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (number, hash) = (number.parse().ok()?, hash.to_ascii_lowercase());
            is_hash.then_some(Head { number, hash })
        });
        head.map(Self)
            .ok_or_else(|| "it is a number, a colon and 64 hexadecimal digits".to_owned())
    }
}

/// Where the log is read.
enum Source {
    Files(Files),
    Voter(Box<Client>),
}

impl Audit {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let source = match self.connection.data_dir() {
            Some(folder) => Source::Files(files_of(folder)?),
            None => Source::Voter(Box::new(self.connection.open().await?)),
        };
        if !self.verify {
            let records = source.newest(self.lines).await?;
            return if self.json {
                let lines: Vec<Value> = records.iter().map(to_json).collect();
                output::print_json(&json!({ "lines": lines }))
            } else {
                output::print(&text(&records))
            };
        }
        let verified = source
            .verify(self.expect.map(|Expected(head)| head))
            .await?;
        if self.json {
            output::print_json(&verdict_to_json(&verified))?;
        }
        let verdict = verified?;
        if !self.json {
            output::print(&describe(&verdict))?;
        }
        Ok(())
    }
}

impl Source {
    async fn newest(&self, count: u32) -> anyhow::Result<Vec<Record>> {
        match self {
            Self::Files(files) => {
                let files = files.clone();
                let count = usize::try_from(count)?;
                let reading = tokio::task::spawn_blocking(move || reader::tail(&files, count));
                reading.await?.context("unable to read the audit log")
            }
            Self::Voter(client) => {
                let request = proto::AuditRequest {
                    limit: count,
                    newest: true,
                    from: String::new(),
                };
                let response = client.audit(request).await?;
                Ok(response.records.into_iter().map(from_proto).collect())
            }
        }
    }

    async fn verify(&self, expected: Option<Head>) -> anyhow::Result<Result<Verdict, Broken>> {
        match self {
            Self::Files(files) => {
                let files = files.clone();
                let reading = tokio::task::spawn_blocking(move || verify_files(&files, expected));
                reading.await?.context("unable to read the audit log")
            }
            Self::Voter(client) => verify_voter(client, expected).await,
        }
    }
}

fn files_of(folder: &Path) -> anyhow::Result<Files> {
    let files = Files::new(DataFolder::new(folder).path());
    let found = files
        .list()
        .with_context(|| format!("unable to read {}", folder.display()))?;
    anyhow::ensure!(
        !found.is_empty() || files.head().exists(),
        "{} holds no audit log: only voters keep one",
        folder.display()
    );
    Ok(files)
}

fn verify_files(files: &Files, expected: Option<Head>) -> std::io::Result<Result<Verdict, Broken>> {
    let head = Head::read(&files.head())?;
    let mut chain = Chain::new(head.into_iter().chain(expected).collect());
    let mut from = None;
    loop {
        let page = reader::page(files, from, PAGE_LINES as usize)?;
        if let Err(broken) = page.records.iter().try_for_each(|line| chain.push(line)) {
            return Ok(Err(broken));
        }
        from = page.next;
        if from.is_none() {
            return Ok(chain.finish());
        }
    }
}

async fn verify_voter(
    client: &Client,
    expected: Option<Head>,
) -> anyhow::Result<Result<Verdict, Broken>> {
    let mut chain: Option<Chain> = None;
    let mut from = String::new();
    loop {
        let request = proto::AuditRequest {
            limit: PAGE_LINES,
            newest: false,
            from,
        };
        let response = client.audit(request).await?;
        let head = response.head.map(|head| Head {
            number: head.number,
            hash: head.hash,
        });
        let chain = chain.get_or_insert_with(|| {
            let known = head.into_iter().chain(expected.clone());
            Chain::new(known.collect())
        });
        for record in response.records {
            if let Err(broken) = chain.push(&from_proto(record)) {
                return Ok(Err(broken));
            }
        }
        from = response.next;
        if from.is_empty() {
            break;
        }
    }
    let chain = chain.unwrap_or_else(|| Chain::new(Vec::new()));
    Ok(chain.finish())
}

fn from_proto(record: proto::AuditRecord) -> Record {
    let proto::AuditRecord { file, line, text } = record;
    Record { file, line, text }
}

fn read(record: &Record) -> Option<Line> {
    serde_json::from_slice(&record.text).ok()
}

fn to_json(record: &Record) -> Value {
    match serde_json::from_slice::<Value>(&record.text) {
        Ok(line) if line.is_object() => line,
        Ok(_) | Err(_) => json!({ "cut_short": String::from_utf8_lossy(&record.text) }),
    }
}

fn text(records: &[Record]) -> String {
    let mut table = output::table(&["TIME", "CALLER", "CALL", "OBJECT", "OUTCOME"]);
    for record in records {
        let row = match read(record) {
            Some(line) => [line.time, line.caller, line.call, line.object, line.outcome],
            None => ["", "", "", "", "(cut short)"].map(str::to_owned),
        };
        table.add_row(row.map(|cell| printable(&cell)));
    }
    output::lines(&table)
}

/// A cell without what could move a terminal's cursor: whoever is logged chose some of the words.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}

fn describe(verdict: &Verdict) -> String {
    let Verdict {
        lines,
        head,
        dropped,
        cut_short,
        left_out,
    } = verdict;
    let mut sentences = vec![format!("The audit log is whole: {lines} lines.")];
    if let Some(dropped) = dropped {
        sentences.push(format!("Those up to number {dropped} went by rotation."));
    }
    if *cut_short > 0 {
        sentences.push(format!(
            "{cut_short} were cut short by a crash or a full disk."
        ));
    }
    if *left_out > 0 {
        sentences.push(format!("{left_out} more were not written, and counted."));
    }
    let mut text = sentences.join(" ");
    if let Some(Head { number, hash }) = head {
        text.push_str(&format!(
            "\nThe last one is {number}:{hash}\nKept elsewhere, this proves later with --expect \
             that nothing up to here was written anew."
        ));
    }
    text
}

fn verdict_to_json(verified: &Result<Verdict, Broken>) -> Value {
    match verified {
        Ok(verdict) => json!({
            "whole": true,
            "lines": verdict.lines,
            "head": verdict.head.as_ref().map(|head| format!("{}:{}", head.number, head.hash)),
            "dropped_up_to": verdict.dropped,
            "cut_short": verdict.cut_short,
            "left_out": verdict.left_out,
        }),
        Err(Broken { file, line, reason }) => json!({
            "whole": false,
            "file": file,
            "line": line,
            "reason": reason,
        }),
    }
}
