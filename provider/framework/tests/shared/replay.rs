//! Inputs of a corpus, shown to what reads them; `agent/tests` does so with its own.

use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;

/// Reads all inputs of a target; a panic names the input.
pub(crate) fn replay(name: &str, read: impl Fn(&[u8]) + RefUnwindSafe) {
    // Tests run in their package's folder.
    let corpus = Path::new("fuzz/corpus").join(name);
    let inputs: Vec<_> = fs::read_dir(&corpus)
        .expect("the corpus is part of the checkout")
        .map(|entry| entry.expect("a folder is listed").path())
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    for input in inputs {
        let bytes = fs::read(&input).expect("an input is a file");
        assert!(
            catch_unwind(|| read(&bytes)).is_ok(),
            "{} fails",
            input.display()
        );
    }
}
