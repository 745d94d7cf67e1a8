//! `pg_basebackup`, while it copies.

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::command::last_of;

/// What of its words is kept; the last ones say how far it is, or why it failed.
const WORDS_MAX: usize = 8192;

/// Waits for its end, and tells how far it is. Yields why it failed.
pub(super) async fn attend(
    command: &mut Command,
    mut progress: impl FnMut(String),
) -> Result<(), String> {
    let mut child = command
        .spawn()
        .map_err(|error| format!("{error}: run `apt-get install util-linux`"))?;
    let mut words = String::new();
    if let Some(mut said) = child.stderr.take() {
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = said.read(&mut piece).await {
            words.push_str(&String::from_utf8_lossy(&piece[..length]));
            if let Some(told) = last_progress(&words) {
                progress(told);
            }
            while words.len() > WORDS_MAX {
                words = words.split_off(words.ceil_char_boundary(WORDS_MAX / 2));
            }
        }
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(last_of(&words)),
    }
}

/// The last that was told of how much is there: `1234/5678 kB (21%)`.
fn last_progress(words: &str) -> Option<String> {
    let (line, _) = words.rsplit_once("%)")?;
    let line = line.rsplit(['\r', '\n']).next()?;
    Some(format!("{}%)", line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_progress_counts() {
        let words = "waiting\n    1/100 kB (1%), 0/1 tablespace\r   55/100 kB (55%), 0/1 tabl";
        assert_eq!(last_progress(words).unwrap(), "55/100 kB (55%)");
        assert_eq!(last_progress("waiting for checkpoint"), None);
    }
}
