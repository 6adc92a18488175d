// SPDX-License-Identifier: BSD-2-Clause
//! The `protection_domain` attribute of sel4-microkit. Small enough to read its tokens by hand, which
//! keeps every domain's build free of a Rust parser.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Makes a function the initialisation of the protection domain:
/// `#[protection_domain] fn init() -> impl Handler`, with `stack_size = EXPRESSION` or
/// `heap_size = EXPRESSION` (bytes, constant) in parentheses if wanted.
#[proc_macro_attribute]
pub fn protection_domain(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match expand(arguments, item.clone()) {
        Ok(declaration) => declaration.into_iter().chain(item).collect(),
        Err(error) => error.into_compile_error().into_iter().chain(item).collect(),
    }
}

struct Error {
    span: Span,
    message: String,
}

impl Error {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    fn into_compile_error(self) -> TokenStream {
        let message = std::iter::once(TokenTree::from(Literal::string(&self.message))).collect();
        let group = Group::new(Delimiter::Brace, message);
        [
            TokenTree::from(Ident::new("compile_error", self.span)),
            Punct::new('!', Spacing::Alone).into(),
            group.into(),
        ]
        .into_iter()
        .map(|mut token| {
            token.set_span(self.span);
            token
        })
        .collect()
    }
}

/// `::sel4_microkit::declare_protection_domain! { init = NAME, stack_size = ..., heap_size = ..., }`
fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let name = function_name(item)?;
    let [stack, heap] = sizes(arguments)?;
    let mut fields = TokenStream::new();
    for (key, value) in
        [("init", Some(TokenStream::from(TokenTree::from(name)))), ("stack_size", stack), ("heap_size", heap)]
    {
        if let Some(value) = value {
            fields.extend([TokenTree::from(Ident::new(key, Span::call_site())), punct('=')]);
            fields.extend(value);
            fields.extend([punct(',')]);
        }
    }
    Ok([
        TokenTree::from(Punct::new(':', Spacing::Joint)),
        punct(':'),
        Ident::new("sel4_microkit", Span::call_site()).into(),
        Punct::new(':', Spacing::Joint).into(),
        punct(':'),
        Ident::new("declare_protection_domain", Span::call_site()).into(),
        punct('!'),
        Group::new(Delimiter::Brace, fields).into(),
    ]
    .into_iter()
    .collect())
}

fn punct(character: char) -> TokenTree {
    Punct::new(character, Spacing::Alone).into()
}

/// The identifier behind the first `fn` outside of any group.
fn function_name(item: TokenStream) -> Result<Ident, Error> {
    let mut tokens = item.into_iter();
    while let Some(token) = tokens.next() {
        if matches!(&token, TokenTree::Ident(word) if word.to_string() == "fn") {
            return match tokens.next() {
                Some(TokenTree::Ident(name)) => Ok(name),
                _ => Err(Error::new(token.span(), "a function needs a name")),
            };
        }
    }
    Err(Error::new(Span::call_site(), "protection_domain goes on a function: `fn init() -> impl Handler`"))
}

/// The values of `stack_size` and `heap_size`, in this order.
fn sizes(arguments: TokenStream) -> Result<[Option<TokenStream>; 2], Error> {
    let mut sizes = [None, None];
    let mut tokens = arguments.into_iter().peekable();
    while let Some(key) = tokens.next() {
        let slot = match key.to_string().as_str() {
            "stack_size" => &mut sizes[0],
            "heap_size" => &mut sizes[1],
            other => {
                return Err(Error::new(
                    key.span(),
                    format!("expected `stack_size` or `heap_size`, not `{other}`"),
                ));
            }
        };
        if slot.is_some() {
            return Err(Error::new(key.span(), format!("`{key}` is given twice")));
        }
        if !matches!(tokens.next(), Some(TokenTree::Punct(equals)) if equals.as_char() == '=') {
            return Err(Error::new(key.span(), format!("expected `{key} = BYTES`")));
        }
        let mut value = TokenStream::new();
        for token in tokens.by_ref() {
            if matches!(&token, TokenTree::Punct(comma) if comma.as_char() == ',') {
                break;
            }
            value.extend([token]);
        }
        if value.is_empty() {
            return Err(Error::new(key.span(), format!("expected `{key} = BYTES`")));
        }
        *slot = Some(value);
    }
    Ok(sizes)
}
