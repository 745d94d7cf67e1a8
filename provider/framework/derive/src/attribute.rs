//! Reads the helper attributes of one field.

use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, Field, Lit, LitInt, LitStr, Meta, Path, Result, Token};

/// What `#[attribute(…)]` takes.
const ATTRIBUTE_OPTIONS: [&str; 16] = [
    "required",
    "optional",
    "computed",
    "sensitive",
    "write_only",
    "use_state_for_unknown",
    "requires_replace",
    "requires_replace_if",
    "default",
    "validate",
    "deprecated",
    "name",
    "identity",
    "min",
    "max",
    "equivalent",
];

/// What `#[block(…)]` takes.
const BLOCK_OPTIONS: [&str; 5] = ["name", "min", "max", "computed", "deprecated"];

/// What a field is, with everything said about it.
pub(crate) enum Kind {
    Attribute(Box<AttributeOptions>),
    Block(BlockOptions),
}

#[derive(Default)]
pub(crate) struct AttributeOptions {
    pub(crate) name: Option<String>,
    pub(crate) required: bool,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) sensitive: bool,
    pub(crate) write_only: bool,
    pub(crate) use_state_for_unknown: bool,
    pub(crate) requires_replace: bool,
    pub(crate) requires_replace_if: Option<Path>,
    pub(crate) default: Option<Expr>,
    pub(crate) validators: Vec<Path>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) identity: Option<Identity>,
    pub(crate) equivalent: Option<Path>,
    pub(crate) items_min: Option<LitInt>,
    pub(crate) items_max: Option<LitInt>,
}

/// An attribute's part in the identity.
#[derive(Clone, Copy)]
pub(crate) enum Identity {
    Required,
    Optional,
}

#[derive(Default)]
pub(crate) struct BlockOptions {
    pub(crate) name: Option<String>,
    pub(crate) items_min: Option<LitInt>,
    pub(crate) items_max: Option<LitInt>,
    pub(crate) computed: bool,
    pub(crate) deprecated: Option<LitStr>,
}

/// What the field says it is.
pub(crate) fn kind(field: &Field) -> Result<Kind> {
    let mut found = None;
    for attribute in &field.attrs {
        let kind = if attribute.path().is_ident("attribute") {
            Kind::Attribute(Box::new(attribute_options(attribute)?))
        } else if attribute.path().is_ident("block") {
            Kind::Block(block_options(attribute)?)
        } else {
            continue;
        };
        if found.replace(kind).is_some() {
            return Err(Error::new(
                attribute.span(),
                "a field is one attribute or one block",
            ));
        }
    }
    found.ok_or_else(|| {
        Error::new(
            field.span(),
            "say what the field is: #[attribute(...)] or #[block]",
        )
    })
}

/// What `#[block(deprecated = "…")]` on the struct itself says.
pub(crate) fn deprecation(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut deprecated = None;
    for attribute in attributes.iter().filter(|of| of.path().is_ident("block")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("deprecated") {
                return Err(meta.error("a model as a whole takes deprecated = \"…\" only"));
            }
            deprecated = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(deprecated)
}

/// The doc comment as one text.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => {
                let text = text.value();
                Some(text.strip_prefix(' ').map_or(text.clone(), str::to_owned))
            }
            _ => None,
        },
        _ => None,
    };
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    lines.join("\n").trim().to_owned()
}

/// Names the word, and what could have been meant.
fn no_such(word: &str, what: &str, options: &[&str]) -> String {
    format!(
        "`{word}` is no option of {what}: write one of {}",
        options.join(", ")
    )
}

fn attribute_options(attribute: &Attribute) -> Result<AttributeOptions> {
    let mut options = AttributeOptions::default();
    attribute.parse_nested_meta(|meta| {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        match name.as_str() {
            "required" => options.required = true,
            "optional" => options.optional = true,
            "computed" => options.computed = true,
            "sensitive" => options.sensitive = true,
            "write_only" => options.write_only = true,
            "use_state_for_unknown" => options.use_state_for_unknown = true,
            "requires_replace" => options.requires_replace = true,
            "requires_replace_if" => options.requires_replace_if = Some(meta.value()?.parse()?),
            "default" => options.default = Some(meta.value()?.parse()?),
            "validate" => options.validators.extend(paths(meta.value()?)?),
            "deprecated" => options.deprecated = Some(meta.value()?.parse()?),
            "name" => options.name = Some(meta.value()?.parse::<LitStr>()?.value()),
            "identity" => options.identity = Some(identity(&meta)?),
            "min" => options.items_min = Some(meta.value()?.parse()?),
            "max" => options.items_max = Some(meta.value()?.parse()?),
            "equivalent" => options.equivalent = Some(meta.value()?.parse()?),
            unknown => {
                return Err(meta.error(no_such(unknown, "an attribute", &ATTRIBUTE_OPTIONS)));
            }
        }
        Ok(())
    })?;
    check(attribute, &options)?;
    Ok(options)
}

fn check(attribute: &Attribute, options: &AttributeOptions) -> Result<()> {
    let AttributeOptions {
        required,
        optional,
        computed,
        write_only,
        ..
    } = *options;
    let mistake = if required && (optional || computed) {
        "required excludes optional and computed"
    } else if !required && !optional && !computed {
        "one of required, optional and computed is needed"
    } else if write_only && computed {
        "write_only excludes computed: a value that is never stored can't be computed"
    } else if options.default.is_some() && !(optional && computed) {
        "a default needs both optional and computed"
    } else if options.identity.is_some() && (write_only || options.sensitive) {
        "an identity is stored and shown, so that no part of it is write_only or sensitive"
    } else if options.equivalent.is_some() && write_only {
        "equivalent compares with what is stored, and a write_only value is never stored"
    } else {
        return Ok(());
    };
    Err(Error::new(attribute.span(), mistake))
}

fn block_options(attribute: &Attribute) -> Result<BlockOptions> {
    let mut options = BlockOptions::default();
    if matches!(attribute.meta, Meta::Path(_)) {
        return Ok(options);
    }
    attribute.parse_nested_meta(|meta| {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        match name.as_str() {
            "name" => options.name = Some(meta.value()?.parse::<LitStr>()?.value()),
            "min" => options.items_min = Some(meta.value()?.parse()?),
            "max" => options.items_max = Some(meta.value()?.parse()?),
            "computed" => options.computed = true,
            "deprecated" => options.deprecated = Some(meta.value()?.parse()?),
            unknown => return Err(meta.error(no_such(unknown, "a block", &BLOCK_OPTIONS))),
        }
        Ok(())
    })?;
    Ok(options)
}

/// `identity`, or `identity = "optional"`.
fn identity(meta: &syn::meta::ParseNestedMeta<'_>) -> Result<Identity> {
    if !meta.input.peek(Token![=]) {
        return Ok(Identity::Required);
    }
    let text: LitStr = meta.value()?.parse()?;
    match text.value().as_str() {
        "optional" => Ok(Identity::Optional),
        _ => Err(Error::new(
            text.span(),
            "write identity, or identity = \"optional\"",
        )),
    }
}

/// One path, or several in brackets.
fn paths(input: syn::parse::ParseStream<'_>) -> Result<Vec<Path>> {
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    syn::bracketed!(content in input);
    let paths = content.parse_terminated(<Path as syn::parse::Parse>::parse, Token![,])?;
    Ok(paths.into_iter().collect())
}
