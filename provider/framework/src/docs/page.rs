//! The pages, one for each thing that a provider has.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::function::{Parameter, Signature};
use crate::schema::Block;

use super::block::{in_one_line, of_block, type_expression, type_name};
use super::examples::Examples;

const DATA_SOURCES: &str = "data-sources";
const FUNCTIONS: &str = "functions";
const RESOURCES: &str = "resources";

/// The folders that pages have, each for one kind of thing.
pub(super) const KINDS: [&str; 3] = [DATA_SOURCES, FUNCTIONS, RESOURCES];

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    /// Within the folder of all pages.
    pub(super) path: PathBuf,
    /// Markdown.
    pub(super) text: String,
}

/// The page of the provider block.
pub(super) fn of_provider(name: &str, block: &Block, examples: &Examples) -> io::Result<Page> {
    let mut text = head(&format!("Provider: {name}"), &block.description);
    let _ = write!(text, "# {name} Provider\n\n{}\n", block.description.trim());
    push_example(&mut text, examples, "provider/provider.tf")?;
    text.push('\n');
    text.push_str(&of_block(block));
    Ok(Page {
        path: "index.md".into(),
        text,
    })
}

/// The page of a resource.
pub(super) fn of_resource(
    provider: &str,
    type_name: &str,
    block: &Block,
    examples: &Examples,
) -> io::Result<Page> {
    let folder = format!("{RESOURCES}/{type_name}");
    let mut page = of_schema(
        &Subject {
            provider,
            type_name,
            title: "Resource",
            folder: RESOURCES,
        },
        block,
        examples.code(&format!("{folder}/resource.tf"), "terraform")?,
    );
    let ways = [
        (
            "import-by-identity.tf",
            "terraform",
            "By identity, in an `import` block (Terraform 1.12 and later):",
        ),
        (
            "import-by-string-id.tf",
            "terraform",
            "By id, in an `import` block:",
        ),
        ("import.sh", "shell", "By id, on the command line:"),
    ];
    let mut import = String::new();
    for (file, language, sentence) in ways {
        if let Some(code) = examples.code(&format!("{folder}/{file}"), language)? {
            let _ = write!(import, "\n{sentence}\n\n{code}");
        }
    }
    if !import.is_empty() {
        let _ = write!(page.text, "\n## Import\n{import}");
    }
    Ok(page)
}

/// The page of a data source.
pub(super) fn of_data_source(
    provider: &str,
    type_name: &str,
    block: &Block,
    examples: &Examples,
) -> io::Result<Page> {
    let example = examples.code(
        &format!("{DATA_SOURCES}/{type_name}/data-source.tf"),
        "terraform",
    )?;
    let subject = Subject {
        provider,
        type_name,
        title: "Data Source",
        folder: DATA_SOURCES,
    };
    Ok(of_schema(&subject, block, example))
}

/// The page of a function.
pub(super) fn of_function(
    provider: &str,
    name: &str,
    signature: &Signature,
    examples: &Examples,
) -> io::Result<Page> {
    let mut text = head(&format!("{name} function - {provider}"), &signature.summary);
    let _ = write!(
        text,
        "# function: {name}\n\n{}.\n",
        signature.summary.trim().trim_end_matches('.')
    );
    if !signature.description.is_empty() {
        let _ = write!(text, "\n{}\n", signature.description.trim());
    }
    push_example(
        &mut text,
        examples,
        &format!("{FUNCTIONS}/{name}/function.tf"),
    )?;
    let takes = signature.parameters.iter().map(written);
    let further = signature
        .variadic
        .iter()
        .map(|parameter| format!("{}...", written(parameter)));
    let takes: Vec<String> = takes.chain(further).collect();
    let gives = type_expression(&signature.returns.value_type());
    let _ = write!(
        text,
        "\n## Signature\n\n```text\n{name}({}) {gives}\n```\n\n## Arguments\n\n",
        takes.join(", ")
    );
    let mut number = 0;
    for (parameter, mark) in signature
        .parameters
        .iter()
        .map(|parameter| (parameter, ""))
        .chain(
            signature
                .variadic
                .iter()
                .map(|parameter| (parameter, "Variadic, ")),
        )
    {
        number += 1;
        let _ = writeln!(
            text,
            "{number}. `{}` ({mark}{}) {}",
            parameter.name,
            type_name(&parameter.shape.value_type()),
            in_one_line(&parameter.description)
        );
    }
    if number == 0 {
        text.push_str("None.\n");
    }
    Ok(Page {
        path: Path::new(FUNCTIONS).join(format!("{name}.md")),
        text,
    })
}

/// Of what a page is.
struct Subject<'a> {
    provider: &'a str,
    type_name: &'a str,
    /// What such a thing is called in a title.
    title: &'a str,
    folder: &'a str,
}

fn of_schema(subject: &Subject<'_>, block: &Block, example: Option<String>) -> Page {
    let Subject {
        provider,
        type_name,
        title,
        folder,
    } = subject;
    let mut text = head(
        &format!("{type_name} {title} - {provider}"),
        &block.description,
    );
    let _ = write!(
        text,
        "# {type_name} ({title})\n\n{}\n",
        block.description.trim()
    );
    if let Some(why) = &block.deprecated {
        let _ = write!(text, "\n~> **Deprecated.** {why}\n");
    }
    if let Some(code) = example {
        let _ = write!(text, "\n## Example Usage\n\n{code}");
    }
    text.push('\n');
    text.push_str(&of_block(block));
    // The registry leaves out what comes before the first underscore.
    let short = type_name.split_once('_').map_or(*type_name, |(_, of)| of);
    Page {
        path: Path::new(folder).join(format!("{short}.md")),
        text,
    }
}

/// What the registry reads before it shows a page.
fn head(title: &str, description: &str) -> String {
    let first = description.split("\n\n").next().unwrap_or_default();
    format!(
        "---\npage_title: {title:?}\nsubcategory: \"\"\ndescription: |-\n  {}\n---\n\n",
        in_one_line(first)
    )
}

fn push_example(text: &mut String, examples: &Examples, file: &str) -> io::Result<()> {
    if let Some(code) = examples.code(file, "terraform")? {
        let _ = write!(text, "\n## Example Usage\n\n{code}");
    }
    Ok(())
}

fn written(parameter: &Parameter) -> String {
    let of = type_expression(&parameter.shape.value_type());
    format!("{} {of}", parameter.name)
}
