//! Files with what a repository asks for, beside its password.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::trouble::Trouble;

/// What a file says, a line `NAME=value` each; empty lines and those that begin with # say nothing.
pub(crate) fn variables(path: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble(format!(
            "{} is not there, which the plan names as environment_file: make it on this node",
            path.display()
        )),
        _ => Trouble::io("read", path, &error),
    })?;
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| match line.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.contains('\0') => {
                Ok((name.to_owned(), value.to_owned()))
            }
            Some(_) | None => Err(Trouble(format!(
                "line {} of {} is not NAME=value",
                number + 1,
                path.display()
            ))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("environment");
        fs::write(&path, "# keys\n\nA=b=c\n").unwrap();
        assert_eq!(variables(&path).unwrap()["A"], "b=c");
        fs::write(&path, "A=b\nC\n").unwrap();
        assert!(variables(&path).unwrap_err().0.starts_with("line 2 of"));
    }
}
