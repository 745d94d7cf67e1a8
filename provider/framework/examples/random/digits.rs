//! The attribute that has two names, and what else the two kinds of text plan alike.

use terraform_plugin::{Attr, Diagnostics, Path};

/// Refuses two names with two values.
pub(crate) fn check(number: &Attr<bool>, numeric: &Attr<bool>, diagnostics: &mut Diagnostics) {
    if let (Attr::Known(number), Attr::Known(numeric)) = (number, numeric)
        && number != numeric
    {
        diagnostics.error_at(
            Path::root("number"),
            "Two values for one thing",
            "number is the former name of numeric, and the two differ. Leave number out.",
        );
    }
}

/// What the configuration says under either name.
pub(crate) fn decided(number: Attr<bool>, numeric: Attr<bool>) -> Attr<bool> {
    match (numeric, number) {
        (Attr::Null, Attr::Null) => true.into(),
        (Attr::Null, number) => number,
        (numeric, _) => numeric,
    }
}

/// Whether other characters to draw from mean another text. An empty text is as good as none.
pub(crate) fn override_changed(prior: &Attr<String>, planned: &Attr<String>) -> bool {
    let present = |of: &Attr<String>| of.as_known().is_some_and(|text| !text.is_empty());
    !planned.is_unknown() && (present(prior) || present(planned))
}
