//! Logs as they were written, and as somebody would rather have them.

use std::fs;
use std::path::Path;

use super::*;
use crate::audit::limits::AuditLimits;
use crate::audit::reader;
use crate::audit::writer::Writer;
use crate::audit::{Files, Head};

fn line(object: &str) -> Line {
    Line {
        time: "2030-01-01T00:00:00Z".to_owned(),
        caller: "local".to_owned(),
        call: "apply".to_owned(),
        object: object.to_owned(),
        outcome: "committed".to_owned(),
        ..Line::default()
    }
}

/// A log of `count` lines, in files of about five.
fn log(count: usize, files_max: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let limits = AuditLimits {
        file_size_max: Some("1200B".parse().unwrap()),
        files_max: Some(files_max),
        age_max: None,
    };
    let mut writer = Writer::new(folder.path(), limits);
    for number in 1..=count {
        writer.write(vec![line(&format!("o{number}"))]).unwrap();
    }
    folder
}

fn verify(folder: &Path) -> Result<Verdict, Broken> {
    let files = Files::new(folder);
    let mut chain = Chain::new(Head::read(&files.head()).unwrap().into_iter().collect());
    let mut from = None;
    loop {
        let page = reader::page(&files, from, 3).unwrap();
        for record in &page.records {
            chain.push(record)?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return chain.finish(),
        }
    }
}

/// Changes the lines of one file.
fn tamper(folder: &Path, file: &str, change: impl FnOnce(&mut Vec<String>)) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).unwrap();
}

fn broken(folder: &Path) -> (String, u64, String) {
    let Broken { file, line, reason } = verify(folder).unwrap_err();
    (file, line, reason)
}

#[test]
fn a_log_over_several_files_is_whole() {
    let folder = log(23, 16);
    let files = Files::new(folder.path()).list().unwrap();
    assert!(files.len() > 3, "{files:?}");
    let verdict = verify(folder.path()).unwrap();
    assert_eq!((verdict.lines, verdict.dropped), (23, None));
    assert_eq!(verdict.head.unwrap().number, 23);
    // The first line of a file carries the hash of the last one of the file before.
    let first = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let first: Line = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let before = fs::read_to_string(folder.path().join("audit.1.jsonl")).unwrap();
    assert_eq!(
        first.previous,
        hash(before.lines().last().unwrap().as_bytes())
    );
}

#[test]
fn old_files_go_and_the_log_says_up_to_where() {
    let folder = log(40, 3);
    assert_eq!(Files::new(folder.path()).list().unwrap().len(), 3);
    let verdict = verify(folder.path()).unwrap();
    assert_eq!(verdict.lines + verdict.dropped.unwrap(), 40);
}

#[test]
fn a_changed_line_is_named_wherever_it_stands() {
    for (file, index) in [
        ("audit.1.jsonl", 0),
        ("audit.1.jsonl", 1),
        ("audit.jsonl", 1),
    ] {
        let folder = log(23, 16);
        tamper(folder.path(), file, |lines| {
            lines[index] = lines[index].replace("local", "nobody");
        });
        let (named, line, reason) = broken(folder.path());
        assert_eq!((named.as_str(), line), (file, index as u64 + 1), "{reason}");
        assert!(reason.contains("changed"), "{reason}");
    }
}

#[test]
fn a_line_whose_hash_of_the_line_before_was_changed_is_named_itself() {
    let folder = log(5, 16);
    tamper(folder.path(), "audit.jsonl", |lines| {
        let other = hash(b"other");
        let mut line: Line = serde_json::from_str(&lines[2]).unwrap();
        line.previous = other;
        lines[2] = serde_json::to_string(&line).unwrap();
    });
    assert_eq!(broken(folder.path()).1, 3);
}

#[test]
fn a_line_that_was_taken_out_moved_or_put_in_shows() {
    type Change = fn(&mut Vec<String>);
    let changes: [(Change, u64); 4] = [
        (|lines| drop(lines.remove(1)), 2),
        (|lines| lines.swap(1, 2), 2),
        (|lines| lines.insert(2, lines[1].clone()), 3),
        (|lines| lines[1].clear(), 2),
    ];
    for (change, expected) in changes {
        let folder = log(4, 16);
        tamper(folder.path(), "audit.jsonl", change);
        let (_, line, reason) = broken(folder.path());
        assert_eq!(line, expected, "{reason}");
    }
}

#[test]
fn an_end_that_was_cut_off_or_replaced_shows() {
    let folder = log(4, 16);
    tamper(folder.path(), "audit.jsonl", |lines| lines.truncate(2));
    let (_, line, reason) = broken(folder.path());
    assert!(line == 3 && reason.contains("after number 2"), "{reason}");

    let folder = log(4, 16);
    tamper(folder.path(), "audit.jsonl", |lines| lines[3].truncate(9));
    let (_, line, reason) = broken(folder.path());
    assert!(line == 4 && reason.contains("cut short"), "{reason}");

    // Replaced by lines that are chained well.
    let folder = log(4, 16);
    tamper(folder.path(), "audit.jsonl", |lines| {
        for index in 2..4 {
            let mut line: Line = serde_json::from_str(&lines[index]).unwrap();
            line.object = "innocent".to_owned();
            line.previous = hash(lines[index - 1].as_bytes());
            lines[index] = serde_json::to_string(&line).unwrap();
        }
    });
    let (_, line, reason) = broken(folder.path());
    assert!(line == 4 && reason.contains("not the line"), "{reason}");
}

#[test]
fn a_file_that_was_taken_away_shows() {
    for (file, expected) in [
        ("audit.2.jsonl", "audit.1.jsonl"),
        ("audit.3.jsonl", "audit.2.jsonl"),
        ("audit.jsonl", "audit.1.jsonl"),
    ] {
        let folder = log(23, 16);
        assert!(!folder.path().join("audit.4.jsonl").exists());
        fs::remove_file(folder.path().join(file)).unwrap();
        let (named, _, reason) = broken(folder.path());
        assert_eq!(named, expected, "{reason}");
    }
    let folder = log(2, 16);
    fs::remove_file(folder.path().join("audit.jsonl")).unwrap();
    let (_, _, reason) = broken(folder.path());
    assert!(reason.contains("all lines are missing"), "{reason}");
}

#[test]
fn what_a_crash_cut_short_is_counted_and_breaks_nothing() {
    let folder = log(2, 16);
    let path = folder.path().join("audit.jsonl");
    for _ in 0..2 {
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"time\":\"cut sh");
        fs::write(&path, text).unwrap();
        let mut writer = Writer::new(folder.path(), AuditLimits::default());
        writer.write(vec![line("after")]).unwrap();
    }
    let verdict = verify(folder.path()).unwrap();
    assert_eq!((verdict.lines, verdict.cut_short), (6, 2));
    tamper(folder.path(), "audit.jsonl", |lines| {
        lines[2] = "other".into()
    });
    assert_eq!(broken(folder.path()).1, 3);
}

#[test]
fn a_log_of_a_version_without_numbers_goes_on_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let first = r#"{"time":"t","caller":"c","call":"apply","object":"o","outcome":"done","previous":"PREVIOUS"}"#;
    let first = first.replace("PREVIOUS", &hash(b""));
    let second = first.replace(&hash(b""), &hash(first.as_bytes()));
    fs::write(
        folder.path().join("audit.jsonl"),
        format!("{first}\n{second}\n"),
    )
    .unwrap();
    assert_eq!(verify(folder.path()).unwrap().lines, 2);
    let mut writer = Writer::new(folder.path(), AuditLimits::default());
    writer.write(vec![line("a"), line("b")]).unwrap();
    let verdict = verify(folder.path()).unwrap();
    assert_eq!((verdict.lines, verdict.head.unwrap().number), (4, 2));
}

#[test]
fn any_bytes_give_a_verdict_or_a_broken_line() {
    let mut seed = 7_u64;
    let folder = log(4, 16);
    let path = folder.path().join("audit.jsonl");
    let whole = fs::read(&path).unwrap();
    for _ in 0..300 {
        let mut bytes = whole.clone();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (seed >> 33) as usize % bytes.len();
        bytes[at] ^= 1 << (seed % 8);
        fs::write(&path, bytes).unwrap();
        verify(folder.path()).unwrap_err();
    }
}
