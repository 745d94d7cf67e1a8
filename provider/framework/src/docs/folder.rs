//! The folder of pages: writes what changed, takes away what is no page any more, or says what is
//! out of date. It never touches a file outside the folders that pages have.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::examples::{because, read};
use super::page::{KINDS, Page};

/// Where pages go.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Writes what is out of date.
    pub(super) fn write(&self, pages: &[Page]) -> io::Result<String> {
        let stale = self.stale(pages)?;
        for page in pages.iter().filter(|page| stale.contains(&page.path)) {
            let path = self.0.join(&page.path);
            let folder = path.parent().unwrap_or(&self.0);
            fs::create_dir_all(folder).map_err(|error| because(folder, &error))?;
            fs::write(&path, &page.text).map_err(|error| because(&path, &error))?;
        }
        for gone in stale
            .iter()
            .filter(|path| pages.iter().all(|page| page.path != **path))
        {
            let path = self.0.join(gone);
            fs::remove_file(&path).map_err(|error| because(&path, &error))?;
        }
        let (all, changed, folder) = (pages.len(), stale.len(), self.0.display());
        Ok(format!(
            "{all} pages in {folder}, {changed} of them changed"
        ))
    }

    /// An error that names what is out of date.
    pub(super) fn check(&self, pages: &[Page]) -> io::Result<String> {
        let stale = self.stale(pages)?;
        if stale.is_empty() {
            return Ok(format!(
                "{} pages in {} are current",
                pages.len(),
                self.0.display()
            ));
        }
        let names: Vec<String> = stale
            .iter()
            .map(|path| self.0.join(path).display().to_string())
            .collect();
        Err(io::Error::other(format!(
            "out of date: {}. Run the same command without --check",
            names.join(", ")
        )))
    }

    /// The pages that are missing or different, and the files that should be gone.
    fn stale(&self, pages: &[Page]) -> io::Result<BTreeSet<PathBuf>> {
        let mut stale = BTreeSet::new();
        for page in pages {
            if read(&self.0.join(&page.path))?.as_deref() != Some(&page.text) {
                stale.insert(page.path.clone());
            }
        }
        for kind in &KINDS {
            for file in markdown_files(&self.0.join(kind.folder))? {
                let path = Path::new(kind.folder).join(file);
                if pages.iter().all(|page| page.path != path) {
                    stale.insert(path);
                }
            }
        }
        Ok(stale)
    }
}

fn markdown_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(because(folder, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry.map_err(|error| because(folder, &error))?.file_name());
        if name.extension().is_some_and(|extension| extension == "md") {
            files.push(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_current_and_what_is_no_page_goes() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("adr")).unwrap();
        fs::write(root.path().join("adr/0001.md"), "kept").unwrap();
        let folder = Folder::new(root.path().to_owned());
        let pages = [page("index.md", "i"), page("resources/a.md", "a")];
        assert!(folder.check(&pages).is_err());
        folder.write(&pages).unwrap();
        assert!(folder.check(&pages).is_ok());

        let renamed = [page("index.md", "i"), page("resources/b.md", "a")];
        let error = folder.check(&renamed).unwrap_err().to_string();
        assert!(error.contains("a.md") && error.contains("b.md"), "{error}");
        folder.write(&renamed).unwrap();
        assert!(!root.path().join("resources/a.md").exists());
        assert!(root.path().join("adr/0001.md").exists());
    }
}
