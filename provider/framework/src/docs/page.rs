//! The pages, one for each thing that a provider has.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::function::{Parameter, Signature};
use crate::schema::{Block, IdentityPart};

use super::block::{in_one_line, of_block, type_expression, type_name};
use super::examples::Examples;

/// One kind of thing that has pages, and where its examples are.
#[derive(Debug)]
pub(super) struct Kind {
    /// The folder of its pages, and of its examples.
    pub(super) folder: &'static str,
    /// What such a thing is called in a title.
    title: &'static str,
    /// The file of the example.
    example: &'static str,
}

pub(super) const ACTION: Kind = Kind {
    folder: "actions",
    title: "Action",
    example: "action.tf",
};

pub(super) const DATA_SOURCE: Kind = Kind {
    folder: "data-sources",
    title: "Data Source",
    example: "data-source.tf",
};

pub(super) const EPHEMERAL_RESOURCE: Kind = Kind {
    folder: "ephemeral-resources",
    title: "Ephemeral Resource",
    example: "ephemeral-resource.tf",
};

const FUNCTION: Kind = Kind {
    folder: "functions",
    title: "function",
    example: "function.tf",
};

pub(super) const LIST_RESOURCE: Kind = Kind {
    folder: "list-resources",
    title: "List Resource",
    example: "list-resource.tfquery.hcl",
};

const RESOURCE: Kind = Kind {
    folder: "resources",
    title: "Resource",
    example: "resource.tf",
};

pub(super) const STATE_STORE: Kind = Kind {
    folder: "state-stores",
    title: "State Store",
    example: "state-store.tf",
};

/// Every kind.
pub(super) const KINDS: [Kind; 7] = [
    ACTION,
    DATA_SOURCE,
    EPHEMERAL_RESOURCE,
    FUNCTION,
    LIST_RESOURCE,
    RESOURCE,
    STATE_STORE,
];

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
    let mut page = of_kind(&RESOURCE, provider, type_name, block, examples)?;
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
        if let Some(code) =
            examples.code(&format!("{}/{type_name}/{file}", RESOURCE.folder), language)?
        {
            let _ = write!(import, "\n{sentence}\n\n{code}");
        }
    }
    if !import.is_empty() {
        let _ = write!(page.text, "\n## Import\n{import}");
    }
    page.text.push_str(&of_identity(block));
    Ok(page)
}

/// The page of something that has a schema and nothing else to say.
pub(super) fn of_kind(
    kind: &Kind,
    provider: &str,
    type_name: &str,
    block: &Block,
    examples: &Examples,
) -> io::Result<Page> {
    let title = kind.title;
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
    push_example(
        &mut text,
        examples,
        &format!("{}/{type_name}/{}", kind.folder, kind.example),
    )?;
    text.push('\n');
    text.push_str(&of_block(block));
    // The registry leaves out what comes before the first underscore.
    let short = type_name.split_once('_').map_or(type_name, |(_, of)| of);
    Ok(Page {
        path: Path::new(kind.folder).join(format!("{short}.md")),
        text,
    })
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
        &format!("{}/{name}/{}", FUNCTION.folder, FUNCTION.example),
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
        path: Path::new(FUNCTION.folder).join(format!("{name}.md")),
        text,
    })
}

/// What names an object for good; nothing where nothing does.
fn of_identity(block: &Block) -> String {
    let parts = block
        .attributes
        .iter()
        .filter_map(|attribute| Some((attribute, attribute.identity?)));
    let lines: Vec<String> = parts
        .map(|(attribute, part)| {
            let duty = match part {
                IdentityPart::Required => "Required",
                IdentityPart::Optional => "Optional",
            };
            let of = type_name(&attribute.shape.value_type());
            let about = in_one_line(&attribute.description);
            format!("- `{}` ({of}, {duty}) {about}\n", attribute.name)
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "\n## Identity\n\nWhat names such an object for good, and what an import by it gives:\n\n{}",
        lines.concat()
    )
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
