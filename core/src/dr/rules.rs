//! Each rule of a failover has a test, by its name, and the test is there.

use std::collections::BTreeMap;
use std::path::Path;

const INDEX: &str = include_str!("mod.rs");

/// The tests of each rule, each with its file.
fn index() -> BTreeMap<u32, Vec<(String, String)>> {
    let mut rules: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    let (mut rule, mut file) = (0, String::new());
    for line in INDEX.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let number = line
            .split_once(". **")
            .and_then(|(number, _)| number.parse().ok());
        if let Some(number) = number {
            rule = number;
            rules.insert(rule, Vec::new());
        }
        let Some(tests) = rules.get_mut(&rule) else {
            continue;
        };
        for name in line.split('`').skip(1).step_by(2) {
            match name.ends_with(".rs") {
                true => name.clone_into(&mut file),
                false => tests.push((file.clone(), name.to_owned())),
            }
        }
    }
    rules
}

#[test]
fn each_rule_has_tests_and_they_are_there() {
    // Of this run, and not of the build, which another checkout may have made.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let root = Path::new(&package).parent().unwrap();
    let rules = index();
    assert_eq!(
        rules.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
    for (rule, tests) in rules {
        assert!(!tests.is_empty(), "rule {rule} has no test");
        for (file, name) in tests {
            let text = std::fs::read_to_string(root.join(&file)).unwrap();
            let is_there =
                text.contains(&format!("fn {name}(")) || text.contains(&format!("\"{name}\""));
            assert!(is_there, "rule {rule}: {file} has no {name}");
        }
    }
}
