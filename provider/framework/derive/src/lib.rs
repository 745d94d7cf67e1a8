//! `#[derive(Model)]`: from a struct to a schema and the conversions both ways.
//!
//! Everything here happens at compile time; mistakes that can be seen in the struct are errors at
//! the line that makes them.

mod attribute;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `terraform_plugin::Model`, and `Debug` without sensitive values.
///
/// A field is `#[attribute(…)]` with an `Attr<_>`, or `#[block]` with `Option<M>`, `Vec<M>` or
/// `Set<M>`. Doc comments become descriptions. An attribute takes:
///
/// - `required`, `optional`, `computed`, `sensitive`, `write_only`
/// - `use_state_for_unknown`, `requires_replace`, `requires_replace_if = function`, where the
///   function takes `(prior: &Attr<T>, planned: &Attr<T>)` and gives a `bool`
/// - `default = expression` (with `optional, computed`)
/// - `validate = function` or `validate = [one, another]`, where each takes `&T` and gives
///   `Result<(), impl Display>`
/// - `identity` or `identity = "optional"`: it is part of what names an object, and an import by
///   identity has to, or may, give it
/// - `equivalent = function`, which takes `(before: &T, after: &T)` and gives a `bool`: where the
///   two mean the same, the one before is kept
/// - `deprecated = "what to use instead"`, `name = "name_in_terraform"`
///
/// - `min = 1`, `max = 3`: how many elements a list, set or map has
///
/// A block takes `name`, `min = 1`, `max = 1`, `deprecated = "…"` and `computed`; the struct itself
/// `#[block(deprecated = "…")]`.
#[proc_macro_derive(Model, attributes(attribute, block))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::model(&input)
        .unwrap_or_else(|error| expand::mistaken(&input, &error))
        .into()
}
