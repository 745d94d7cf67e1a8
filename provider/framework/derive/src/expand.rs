//! Writes the implementations.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Data, DeriveInput, Error, Expr, ExprLit, Fields, Ident, Lit, LitInt, Path, Result, Type,
};

use crate::attribute::{self, AttributeOptions, BlockOptions, Identity, Kind};

/// One field with what it is.
struct Member<'a> {
    ident: &'a Ident,
    of: &'a Type,
    name: String,
    description: String,
    kind: Kind,
}

pub(crate) fn model(input: &DeriveInput) -> Result<TokenStream> {
    let members = members(input)?;
    let name = &input.ident;
    let description = attribute::description(&input.attrs);
    let deprecated = match attribute::deprecation(&input.attrs)? {
        Some(message) => {
            quote!(::std::option::Option::Some(::std::string::String::from(#message)))
        }
        None => quote!(::std::option::Option::None),
    };
    let attributes = members.iter().filter_map(attribute_schema);
    let blocks = members.iter().filter_map(block_schema);
    let reads = members.iter().map(read);
    let writes = members.iter().map(write);
    let nested = nested_field(name, &members);
    let debug = debug(name, &members);
    Ok(quote! {
        #[automatically_derived]
        impl ::terraform_plugin::Model for #name {
            fn block() -> ::terraform_plugin::schema::Block {
                ::terraform_plugin::schema::Block {
                    description: ::std::string::String::from(#description),
                    deprecated: #deprecated,
                    attributes: ::std::vec![#(#attributes),*],
                    blocks: ::std::vec![#(#blocks),*],
                }
            }

            fn from_object(
                mut object: ::terraform_plugin::ObjectReader,
            ) -> ::std::result::Result<Self, ::terraform_plugin::Undecodable> {
                ::std::result::Result::Ok(Self { #(#reads),* })
            }

            fn into_object(self) -> ::terraform_plugin::ObjectWriter {
                let mut object = ::terraform_plugin::ObjectWriter::new();
                #(#writes)*
                object
            }
        }

        #nested
        #debug
    })
}

/// The error, and as much of a model as keeps the compiler from saying further things that follow
/// from it.
pub(crate) fn mistaken(input: &DeriveInput, error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    quote! {
        #error

        #[automatically_derived]
        impl #generics ::terraform_plugin::Model for #name #arguments #bounds {
            fn block() -> ::terraform_plugin::schema::Block {
                ::std::unreachable!()
            }

            fn from_object(
                _: ::terraform_plugin::ObjectReader,
            ) -> ::std::result::Result<Self, ::terraform_plugin::Undecodable> {
                ::std::unreachable!()
            }

            fn into_object(self) -> ::terraform_plugin::ObjectWriter {
                ::std::unreachable!()
            }
        }
    }
}

fn members(input: &DeriveInput) -> Result<Vec<Member<'_>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.span(), "Model is derived for a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            input.span(),
            "Model is derived for a struct with named fields",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "a model has no generic parameters",
        ));
    }
    fields.named.iter().map(member).collect()
}

fn member(field: &syn::Field) -> Result<Member<'_>> {
    let syn::Field {
        ident, ty, attrs, ..
    } = field;
    let ident = ident
        .as_ref()
        .ok_or_else(|| Error::new(ty.span(), "a field has a name"))?;
    let kind = attribute::kind(field)?;
    let renamed = match &kind {
        Kind::Attribute(options) => &options.name,
        Kind::Block(options) => &options.name,
    };
    let name = renamed.clone().unwrap_or_else(|| ident.unraw().to_string());
    Ok(Member {
        ident,
        of: ty,
        name,
        description: attribute::description(attrs),
        kind,
    })
}

fn attribute_schema(member: &Member<'_>) -> Option<TokenStream> {
    let Kind::Attribute(options) = &member.kind else {
        return None;
    };
    let Member {
        of,
        name,
        description,
        ..
    } = member;
    let flags = flags(options);
    let default = options
        .default
        .as_ref()
        .map(|default| default_value(of, default));
    let validators = options.validators.iter().map(|function| {
        quote! {
            .validator(::terraform_plugin::schema::Validator::new(
                |value: &<#of as ::terraform_plugin::AttributeField>::Inner| #function(value),
            ))
        }
    });
    let condition = options.requires_replace_if.as_ref().map(|function| {
        quote! {
            .modifier(::terraform_plugin::schema::Modifier::requires_replace_if::<#of>(
                |prior, planned| #function(prior, planned),
            ))
        }
    });
    let deprecated = options
        .deprecated
        .as_ref()
        .map(|message| quote!(.deprecated(#message)));
    let items = items(of, options.items_min.as_ref(), options.items_max.as_ref());
    let identity = options.identity.map(|part| identity(of, part));
    let equivalent = options.equivalent.as_ref().map(|same| equivalent(of, same));
    Some(quote! {
        ::terraform_plugin::schema::Attribute::of::<#of>(#name)
            .description(#description)
            #(#flags)*
            #default
            #(#validators)*
            #condition
            #deprecated
            #items
            #identity
            #equivalent
    })
}

fn items(of: &Type, min: Option<&LitInt>, max: Option<&LitInt>) -> Option<TokenStream> {
    let count = |bound: Option<&LitInt>| bound.map_or(quote!(0), |bound| quote!(#bound));
    let (min_count, max_count) = (count(min), count(max));
    (min.is_some() || max.is_some()).then(|| {
        quote_spanned! {of.span()=>
            .items::<<#of as ::terraform_plugin::AttributeField>::Inner>(#min_count, #max_count)
        }
    })
}

fn identity(of: &Type, part: Identity) -> TokenStream {
    let part = match part {
        Identity::Required => quote!(Required),
        Identity::Optional => quote!(Optional),
    };
    // The type's own span, so that an error shows the field.
    quote_spanned! {of.span()=>
        .identity::<<#of as ::terraform_plugin::AttributeField>::Inner>(
            ::terraform_plugin::schema::IdentityPart::#part,
        )
    }
}

fn equivalent(of: &Type, same: &Path) -> TokenStream {
    let inner = quote!(<#of as ::terraform_plugin::AttributeField>::Inner);
    quote_spanned! {same.span()=>
        .equivalent::<#inner>(|before: &#inner, after: &#inner| -> bool { #same(before, after) })
    }
}

fn flags(options: &AttributeOptions) -> Vec<TokenStream> {
    let modifier = |name: &str| {
        let name = Ident::new(name, proc_macro2::Span::call_site());
        quote!(.modifier(::terraform_plugin::schema::Modifier::#name))
    };
    [
        (options.required, quote!(.required())),
        (options.optional, quote!(.optional())),
        (options.computed, quote!(.computed())),
        (options.sensitive, quote!(.sensitive())),
        (options.write_only, quote!(.write_only())),
        (
            options.use_state_for_unknown,
            modifier("UseStateForUnknown"),
        ),
        (options.requires_replace, modifier("RequiresReplace")),
    ]
    .into_iter()
    .filter_map(|(is_set, tokens)| is_set.then_some(tokens))
    .collect()
}

fn default_value(of: &Type, default: &Expr) -> TokenStream {
    // A literal text stands for an owned one.
    let value = match default {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => quote!(::std::convert::From::from(#text)),
        other => quote!(#other),
    };
    quote! {
        .default_value::<<#of as ::terraform_plugin::AttributeField>::Inner>(#value)
    }
}

fn block_schema(member: &Member<'_>) -> Option<TokenStream> {
    let Kind::Block(options) = &member.kind else {
        return None;
    };
    let Member {
        of,
        name,
        description,
        ..
    } = member;
    let BlockOptions {
        items_min,
        items_max,
        computed,
        deprecated,
        ..
    } = options;
    let mut block = if *computed {
        quote_spanned!(of.span()=> ::terraform_plugin::schema::NestedBlock::computed::<#of>(#name))
    } else {
        quote!(<#of as ::terraform_plugin::BlockField>::nested_block(#name))
    };
    if let Some(message) = deprecated {
        block = quote!(#block.deprecated(#message));
    }
    if !description.is_empty() {
        block = quote!(#block.description(#description));
    }
    let items_min = items_min.as_ref().map(|count| quote!(items_min: #count,));
    let items_max = items_max.as_ref().map(|count| quote!(items_max: #count,));
    if items_min.is_some() || items_max.is_some() {
        block = quote!(::terraform_plugin::schema::NestedBlock { #items_min #items_max ..#block });
    }
    Some(block)
}

fn read(member: &Member<'_>) -> TokenStream {
    let Member {
        ident, name, kind, ..
    } = member;
    match kind {
        Kind::Attribute(_) => quote!(#ident: object.attribute(#name)?),
        Kind::Block(_) => quote!(#ident: object.block(#name)?),
    }
}

fn write(member: &Member<'_>) -> TokenStream {
    let Member {
        ident, name, kind, ..
    } = member;
    match kind {
        Kind::Attribute(_) => quote!(object.attribute(#name, self.#ident);),
        Kind::Block(_) => quote!(object.block(#name, self.#ident);),
    }
}

/// A model without blocks is a nested attribute's object too.
fn nested_field(name: &Ident, members: &[Member<'_>]) -> Option<TokenStream> {
    let has_blocks = members
        .iter()
        .any(|member| matches!(member.kind, Kind::Block(_)));
    (!has_blocks).then(|| {
        quote! {
            #[automatically_derived]
            impl ::terraform_plugin::Field for #name {
                fn shape() -> ::terraform_plugin::schema::Shape {
                    ::terraform_plugin::schema::Shape::Nested(
                        ::terraform_plugin::schema::Nesting::Single,
                        <Self as ::terraform_plugin::Model>::block().attributes,
                    )
                }

                fn decode(
                    value: ::terraform_plugin::Value,
                ) -> ::std::result::Result<Self, ::terraform_plugin::Undecodable> {
                    <Self as ::terraform_plugin::Model>::from_value(value)
                }

                fn encode(self) -> ::terraform_plugin::Value {
                    <Self as ::terraform_plugin::Model>::into_value(self)
                }
            }
        }
    })
}

fn debug(name: &Ident, members: &[Member<'_>]) -> TokenStream {
    let text = name.to_string();
    let fields = members.iter().map(
        |Member {
             ident, name, kind, ..
         }| {
            let is_secret = match kind {
                Kind::Attribute(options) => options.sensitive || options.write_only,
                Kind::Block(_) => false,
            };
            if is_secret {
                quote!(.field(#name, &::std::format_args!("(sensitive)")))
            } else {
                quote!(.field(#name, &self.#ident))
            }
        },
    );
    quote! {
        #[automatically_derived]
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.debug_struct(#text)#(#fields)*.finish()
            }
        }
    }
}
