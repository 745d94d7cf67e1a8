//! What a copy gave up of its log, beside its data: how much of it lies where, and that it goes after a
//! while.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where it lies, in the folder of what is Hanse's.
pub(super) const FOLDER: &str = "divergent";
/// What has this extension is not whole yet.
pub(super) const UNFINISHED: &str = "new";
/// How long what was given up is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// What is kept, as it was looked at last.
#[derive(Debug, Default)]
pub(crate) struct KeptAside {
    looked: Option<Instant>,
    sentences: Vec<String>,
}

impl KeptAside {
    /// What is kept in the folder of what is Hanse's, each in a sentence. What was kept long enough is
    /// forgotten.
    pub(super) fn sentences(&mut self, own: &Path, now: Instant) -> &[String] {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < LOOK;
        if !self.looked.is_some_and(is_fresh) {
            let folder = own.join(FOLDER);
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
            forget_old(&folder, since_1970.unwrap_or_default());
            self.sentences = kept(&folder);
            self.looked = Some(now);
        }
        &self.sentences
    }

    /// Something was just put there.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }
}

/// The length of files, in bytes.
pub(super) fn size_of(files: &[PathBuf]) -> u64 {
    let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
    sizes.map(|metadata| metadata.len()).sum()
}

fn kept(folder: &Path) -> Vec<String> {
    let whole = entries(folder)
        .into_iter()
        .filter(|path| path.is_dir() && path.extension() != Some(OsStr::new(UNFINISHED)));
    whole
        .map(|path| sentence(&path, size_of(&entries(&path))))
        .collect()
}

fn sentence(place: &Path, bytes: u64) -> String {
    let (place, mib) = (place.display(), bytes >> 20);
    format!(
        "{mib} MiB of log that the primary does not have were given up here, and are kept for 7 days in \
         {place}: look there for what a failover lost"
    )
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Removes what was kept long enough.
fn forget_old(folder: &Path, now: Duration) {
    for path in entries(folder) {
        let modified = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
        let since = modified
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if since.is_some_and(|since| now.saturating_sub(since) >= KEPT) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_forgotten_after_a_week_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        forget_old(folder.path(), now + KEPT - Duration::from_secs(60));
        assert!(kept.is_dir());
        forget_old(folder.path(), now + KEPT + Duration::from_secs(60));
        assert!(!kept.is_dir());
    }

    #[test]
    fn what_is_kept_is_told_with_its_size_and_goes_without_another_rewind() {
        let own = tempfile::tempdir().unwrap();
        let mut aside = KeptAside::default();
        let begin = Instant::now();
        assert!(aside.sentences(own.path(), begin).is_empty());
        let folder = own.path().join(FOLDER);
        for (name, files) in [("1-1-5", 2), ("1-2-7.new", 1)] {
            fs::create_dir_all(folder.join(name)).unwrap();
            for file in 0..files {
                let file = fs::File::create(folder.join(name).join(file.to_string()));
                file.unwrap().set_len(16 << 20).unwrap();
            }
        }
        let soon = begin + Duration::from_secs(1);
        assert!(aside.sentences(own.path(), soon).is_empty());
        aside.look_again();
        let told = aside.sentences(own.path(), soon);
        assert_eq!(told, [sentence(&folder.join("1-1-5"), 32 << 20)]);
        let old = SystemTime::now() - KEPT;
        let kept = fs::File::open(folder.join("1-1-5")).unwrap();
        kept.set_modified(old).unwrap();
        let later = soon + LOOK;
        assert!(aside.sentences(own.path(), later).is_empty());
        assert!(!folder.join("1-1-5").exists());
    }

    #[test]
    fn what_is_said_stands_on_the_page_of_errors() {
        let page = include_str!("../../../../docs/dr-errors.md");
        let place = Path::new("/srv/data/main.hanse/divergent/7642011472967116994-1-5100000");
        let said = sentence(place, 32 << 20);
        assert!(page.contains(&format!("| {said} |")), "{said}");
    }
}
