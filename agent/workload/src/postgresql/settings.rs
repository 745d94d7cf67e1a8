//! The server's settings: a file of ours that its configuration includes last, beside the seal without
//! which it doesn't start.

use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str =
    "# hanse: begin. A server that is started past the guard fails here, on purpose.";
const END: &str = "# hanse: end. What the federation sets is in the file that is included above.";

const LEFT_BEGIN: &str =
    "# hanse: left. Until its next start this server archives its log, and there is no archive.";
const LEFT_END: &str = "# hanse: end of what was left. Remove it after that.";

/// A setting, as it is written.
pub(crate) type Setting = (&'static str, String);

/// The configuration with our block at its end.
pub(crate) fn with_block(text: &str, seal: &Path, settings: &Path) -> String {
    let mut text = plain(text);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (seal, settings) = (quoted(seal), quoted(settings));
    format!("{text}{BEGIN}\ninclude {seal}\ninclude {settings}\n{END}\n")
}

/// The configuration as its owner wrote it.
pub(crate) fn plain(text: &str) -> String {
    without_block(&without_block(text, BEGIN, END), LEFT_BEGIN, LEFT_END)
}

/// The configuration as its owner wrote it, with what a server needs that runs on.
pub(crate) fn left(text: &str, setting: Option<&Setting>) -> String {
    let mut text = plain(text);
    if let Some((name, value)) = setting {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let value = value.replace('\'', "''");
        // Writing to a text can't fail.
        let _ = write!(text, "{LEFT_BEGIN}\n{name} = '{value}'\n{LEFT_END}\n");
    }
    text
}

/// A text without the lines from one to another. A block without an end is not ours to guess: its
/// begin alone goes.
pub(crate) fn without_block(text: &str, begin: &str, end: &str) -> String {
    let begin = |line: &str| line.trim_end() == begin;
    let end = |line: &str| line.trim_end() == end;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let close = match begin(line) {
            true => lines[at..].iter().position(|line| end(line)).unwrap_or(0),
            false => {
                kept.push_str(line);
                0
            }
        };
        at += close + 1;
    }
    kept
}

/// The file of ours.
pub(crate) fn file(settings: &[Setting]) -> String {
    let mut text = "# Written anew by the federation's agent.\n".to_owned();
    for (name, value) in settings {
        // Writing to a text can't fail.
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    text
}

/// A value of a connection string.
pub(crate) fn connection_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Settings that would come after ours: `ALTER SYSTEM` wrote them.
pub(crate) fn overridden<'a>(automatic: &str, settings: &'a [Setting]) -> Vec<&'a str> {
    let is_set = |name: &str| {
        automatic.lines().any(|line| {
            let key = line.split(['=', ' ', '\t']).next().unwrap_or_default();
            key.eq_ignore_ascii_case(name)
        })
    };
    let names = settings.iter().map(|(name, _)| *name);
    names.filter(|name| is_set(name)).collect()
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_the_last_and_replaces_itself() {
        let theirs = "port = 5432\nlisten_addresses = '*'";
        let first = with_block(theirs, Path::new("/s/seal"), Path::new("/s/it's.conf"));
        assert!(first.starts_with("port = 5432\nlisten_addresses = '*'\n# hanse: begin"));
        assert!(first.contains("include '/s/seal'\ninclude '/s/it''s.conf'\n"));
        let elsewhere = with_block(&first, Path::new("/t/seal"), Path::new("/t/our.conf"));
        assert!(!elsewhere.contains("/s/"), "{elsewhere}");
        assert_eq!(plain(&elsewhere), format!("{theirs}\n"));
    }

    #[test]
    fn a_block_without_an_end_takes_nothing_of_what_follows() {
        let text = format!("a = 1\n{BEGIN}\nb = 2\n");
        assert_eq!(plain(&text), "a = 1\nb = 2\n");
    }

    #[test]
    fn odd_values_stay_what_they_are() {
        let settings = [("a", "it's".to_owned())];
        assert!(file(&settings).contains("a = 'it''s'\n"));
        assert_eq!(connection_value(r"a'b\c"), r"'a\'b\\c'");
    }

    #[test]
    fn what_alter_system_wrote_is_noticed() {
        let settings = [
            ("wal_level", "replica".to_owned()),
            ("port", "1".to_owned()),
        ];
        let automatic = "# Do not edit\nwal_level = 'minimal'\nwork_mem = '1'\n";
        assert_eq!(overridden(automatic, &settings), ["wal_level"]);
        assert!(overridden("", &settings).is_empty());
    }
}
