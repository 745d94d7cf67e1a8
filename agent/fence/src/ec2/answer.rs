//! What EC2 says, in XML. Pure.

use roxmltree::{Document, Node, ParsingOptions};

use crate::error::shortened;

/// What a document may have at most.
const NODES_MAX: u32 = 50_000;

/// An instance as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    /// `running`, `stopped` and so on.
    pub(super) state: String,
    /// Why it is so, as far as EC2 tells.
    pub(super) reason: String,
    /// Its tag `Name`.
    pub(super) name: String,
}

/// Reads what is told of an instance.
///
/// # Errors
///
/// It isn't told how that instance is.
pub(super) fn instance(xml: &[u8], id: &str) -> Result<Instance, String> {
    let text = std::str::from_utf8(xml).map_err(|_| "it is no text".to_owned())?;
    let document = parse(text)?;
    let root = document.root_element().tag_name().name();
    if root != "DescribeInstancesResponse" {
        return Err(format!("a {} tells of no instance", shortened(root)));
    }
    let mut items = document.descendants().filter(|node| is(node, "item"));
    let found = items.find(|item| child(item, "instanceId").and_then(text_of) == Some(id));
    let found = found.ok_or_else(|| format!("it does not tell of {id}"))?;
    let state = child(&found, "instanceState").and_then(|it| child(&it, "name"));
    let state = state.and_then(text_of);
    let state = state.ok_or_else(|| format!("it does not tell how {id} is"))?;
    let reason = child(&found, "stateReason").and_then(|it| child(&it, "code"));
    let mut tags = child(&found, "tagSet")
        .into_iter()
        .flat_map(|tags| tags.children());
    let name = tags.find(|tag| child(tag, "key").and_then(text_of) == Some("Name"));
    let name = name.and_then(|tag| child(&tag, "value"));
    let owned = |text: Option<&str>| shortened(text.unwrap_or_default());
    Ok(Instance {
        state: shortened(state),
        reason: owned(reason.and_then(text_of)),
        name: owned(name.and_then(text_of)),
    })
}

/// An error's code and message; where there is none, what the server said instead.
pub(super) fn refusal(xml: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(xml);
    let unknown = || ("an answer without a code".to_owned(), shortened(&text));
    let Ok(document) = parse(&text) else {
        return unknown();
    };
    let named = |what: &str| {
        let node = document.descendants().find(|node| is(node, what));
        node.and_then(text_of).map(shortened)
    };
    let code = named("Code");
    code.map_or_else(unknown, |code| (code, named("Message").unwrap_or_default()))
}

fn parse(text: &str) -> Result<Document<'_>, String> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| format!("it is no XML: {error}"))
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name() == name
}

fn child<'a, 'input>(node: &Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| is(child, name))
}

fn text_of<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.text()
}
