// SPDX-License-Identifier: BSD-2-Clause
//! rust-sel4's attribute: a function item and, in front of it, the declaration macro with its name and the attribute's
//! arguments as they are (rust-sel4: `crates/sel4-microkit/macros/src/lib.rs`).

use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn protection_domain(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter();
    let name = loop {
        match tokens.next() {
            Some(TokenTree::Ident(word)) if word.to_string() == "fn" => match tokens.next() {
                Some(TokenTree::Ident(name)) => break name.to_string(),
                other => panic!("a function has a name, not {other:?}"),
            },
            Some(_) => {}
            None => panic!("the attribute goes on a function"),
        }
    };
    let declaration = format!("::sel4_microkit::declare_protection_domain!(init = {name}, {attr});");
    let declaration: TokenStream = declaration.parse().expect("tokens");
    declaration.into_iter().chain(item).collect()
}
