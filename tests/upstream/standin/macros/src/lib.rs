// SPDX-License-Identifier: BSD-2-Clause
//! rust-sel4's attribute: a function item and, in front of it, the declaration macro with its name and the attribute's
//! arguments as they are (rust-sel4: `crates/sel4-microkit/macros/src/lib.rs`).

use proc_macro::{Delimiter, TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn protection_domain(attr: TokenStream, item: TokenStream) -> TokenStream {
    let name = function_name(item.clone()).expect("the attribute goes on a function");
    let declaration = format!("::sel4_microkit::declare_protection_domain!(init = {name}, {attr});");
    let declaration: TokenStream = declaration.parse().expect("tokens");
    declaration.into_iter().chain(item).collect()
}

/// The name of a function item; `None` for anything else.
fn function_name(item: TokenStream) -> Option<String> {
    let mut tokens = item.into_iter();
    loop {
        match tokens.next()? {
            TokenTree::Ident(word) if word.to_string() == "fn" => match tokens.next()? {
                TokenTree::Ident(name) => return Some(name.to_string()),
                _ => return None,
            },
            // In front of it: attributes, `pub(...)`, `extern "C"` and the like.
            TokenTree::Ident(word)
                if ["pub", "const", "async", "unsafe", "extern"].contains(&&*word.to_string()) => {}
            TokenTree::Punct(mark) if mark.as_char() == '#' => {}
            TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => {}
            TokenTree::Literal(_) => {}
            _ => return None,
        }
    }
}
