//! The provider's reference, in the form of Terraform's registry: one page for each thing that the
//! provider has, made from the schemas' descriptions and from runnable examples.
//!
//! `PROVIDER docs` writes the pages; `PROVIDER docs --check` says which are out of date. Making them
//! asks the provider for schemas and for nothing else: no configuration, no client.

mod block;
mod examples;
mod folder;
mod page;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::{Model as _, Provider, Registry};

use examples::Examples;
use folder::Folder;
use page::Page;

const HELP: &str = "\
Writes the provider's reference: one page for each thing that it has.

Usage: PROVIDER docs [--check] [--out FOLDER] [--examples FOLDER]

  --check            write nothing; exit 1 and name the pages that are out of date, if any are
  --out FOLDER       where the pages go; by default docs
  --examples FOLDER  where the examples are, in folders named like resources/TYPE_NAME/resource.tf;
                     by default the folder that the provider names";

/// What to do with the pages.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    is_check: bool,
    out: PathBuf,
    examples: PathBuf,
}

/// How the command line asks for something else than pages.
#[derive(Debug, PartialEq, Eq)]
enum Otherwise {
    Help,
    Wrong(String),
}

/// Whether the command line asks for the reference.
pub(crate) fn is_asked() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "docs")
}

/// Does what the command line asks.
pub(crate) fn run<P: Provider>(provider: &P) -> ExitCode {
    let command = match read(std::env::args_os().skip(2), P::EXAMPLES_FOLDER) {
        Ok(command) => command,
        Err(Otherwise::Help) => return say(&mut io::stdout().lock(), HELP, 0),
        Err(Otherwise::Wrong(why)) => {
            let text = format!("error: {why}. Run: PROVIDER docs --help");
            return say(&mut io::stderr().lock(), &text, 2);
        }
    };
    let examples = Examples::new(command.examples);
    let done = pages(provider, &examples).and_then(|pages| {
        let folder = Folder::new(command.out);
        if command.is_check {
            folder.check(&pages)
        } else {
            folder.write(&pages)
        }
    });
    match done {
        Ok(text) => say(&mut io::stdout().lock(), &text, 0),
        Err(error) => say(&mut io::stderr().lock(), &format!("error: {error}"), 1),
    }
}

fn pages<P: Provider>(provider: &P, examples: &Examples) -> io::Result<Vec<Page>> {
    let name = P::ADDRESS.rsplit('/').next().unwrap_or(P::ADDRESS);
    let mut registry = Registry::default();
    provider.register(&mut registry);
    let mut pages = vec![page::of_provider(name, &P::Config::block(), examples)?];
    for resource in &registry.resources {
        let block = &resource.known().schema.block;
        let name_of = resource.type_name();
        pages.push(page::of_resource(name, name_of, block, examples)?);
    }
    macro_rules! pages_of {
        ($kind:ident, $things:expr) => {
            for thing in &$things {
                let block = &thing.known().schema.block;
                let name_of = thing.type_name();
                pages.push(page::of_kind(&page::$kind, name, name_of, block, examples)?);
            }
        };
    }
    pages_of!(DATA_SOURCE, registry.data_sources);
    pages_of!(EPHEMERAL_RESOURCE, registry.ephemeral_resources);
    pages_of!(LIST_RESOURCE, registry.list_resources);
    pages_of!(ACTION, registry.actions);
    pages_of!(STATE_STORE, registry.state_stores);
    for function in &registry.functions {
        pages.push(page::of_function(
            name,
            function.name(),
            &function.signature(),
            examples,
        )?);
    }
    Ok(pages)
}

fn read(
    mut arguments: impl Iterator<Item = OsString>,
    examples: &str,
) -> Result<Command, Otherwise> {
    let mut command = Command {
        is_check: false,
        out: PathBuf::from("docs"),
        examples: PathBuf::from(examples),
    };
    while let Some(argument) = arguments.next() {
        let mut folder = || {
            let missing = || Otherwise::Wrong(format!("{} needs a folder", argument.display()));
            arguments.next().map(PathBuf::from).ok_or_else(missing)
        };
        match argument.to_str() {
            Some("--check") => command.is_check = true,
            Some("--out") => command.out = folder()?,
            Some("--examples") => command.examples = folder()?,
            Some("--help" | "-h") => return Err(Otherwise::Help),
            Some(_) | None => {
                let argument = argument.display();
                return Err(Otherwise::Wrong(format!("unknown argument {argument}")));
            }
        }
    }
    Ok(command)
}

fn say(out: &mut impl io::Write, text: &str, code: u8) -> ExitCode {
    match writeln!(out, "{text}") {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Result<Command, Otherwise> {
        read(words.iter().map(OsString::from), "examples")
    }

    #[test]
    fn folders_are_read_and_a_missing_or_unknown_word_is_named() {
        let all = command(&["--check", "--out", "pages", "--examples", "x"]).unwrap();
        let (out, examples) = (PathBuf::from("pages"), PathBuf::from("x"));
        let expected = Command {
            is_check: true,
            out,
            examples,
        };
        assert_eq!(all, expected);
        assert_eq!(command(&["--help"]), Err(Otherwise::Help));
        let wrong = |text: &str| Err(Otherwise::Wrong(text.to_owned()));
        assert_eq!(command(&["--out"]), wrong("--out needs a folder"));
        assert_eq!(command(&["now"]), wrong("unknown argument now"));
    }
}
