//! Tokens as text, spaced as code is written by hand, for messages that show what to write.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Code as it is written by hand, on one line.
pub(crate) fn code(tokens: impl ToTokens) -> String {
    let mut text = Text::default();
    text.write(tokens.to_token_stream());
    text.done
}

/// What precedes the next token, which decides whether a space comes between.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// Nothing, an opening bracket, or a sign without a space after it.
    #[default]
    Tight,
    /// A name, a literal, or a closing bracket.
    Value,
    /// A keyword that an expression follows, such as `if`.
    Word,
    /// A sign with a space after it.
    Sign,
}

#[derive(Default)]
struct Text {
    done: String,
    behind: Behind,
    /// How many `<` of generic types are open.
    angles: usize,
    /// Whether a `|` of a closure's parameters is open.
    parameters: bool,
}

impl Text {
    fn write(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.group(group.delimiter(), group.stream()),
                TokenTree::Punct(punct) => {
                    let mut sign = punct.as_char().to_string();
                    let mut spacing = punct.spacing();
                    while let (Spacing::Joint, Some(TokenTree::Punct(next))) = (spacing, tokens.peek()) {
                        if !is_sign(&format!("{sign}{next}")) {
                            break;
                        }
                        sign.push(next.as_char());
                        spacing = next.spacing();
                        tokens.next();
                    }
                    self.sign(&sign);
                }
                word => self.word(&word.to_string()),
            }
        }
    }

    fn word(&mut self, word: &str) {
        if self.behind != Behind::Tight {
            self.done.push(' ');
        }
        let is_lifetime = self.done.ends_with('\'');
        self.done.push_str(word);
        let leads = ["if", "else", "in", "match", "return", "move", "as", "let", "mut", "ref", "dyn", "impl"];
        self.behind = if is_lifetime || leads.contains(&word) { Behind::Word } else { Behind::Value };
    }

    fn group(&mut self, delimiter: Delimiter, inner: TokenStream) {
        let (open, close) = match delimiter {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace if inner.is_empty() => ("{", "}"),
            Delimiter::Brace => ("{ ", " }"),
            Delimiter::None => return self.write(inner),
        };
        let called = self.behind == Behind::Value && delimiter != Delimiter::Brace;
        if self.behind != Behind::Tight && !called {
            self.done.push(' ');
        }
        self.done.push_str(open);
        self.behind = Behind::Tight;
        self.write(inner);
        self.done.push_str(close);
        self.behind = Behind::Value;
    }

    fn sign(&mut self, sign: &str) {
        let leads = self.behind != Behind::Value;
        let of_type = self.done.ends_with("::") || last_word(&self.done).starts_with(char::is_uppercase);
        let (before, behind) = match sign {
            "." | "::" | ".." | "..=" => (leads && self.behind != Behind::Tight, Behind::Tight),
            "?" => (false, Behind::Value),
            "," | ";" | ":" => (false, Behind::Sign),
            "<" if of_type || leads => {
                self.angles += 1;
                (false, Behind::Tight)
            }
            ">" if self.angles > 0 => {
                self.angles -= 1;
                (false, Behind::Value)
            }
            "|" if self.parameters => {
                self.parameters = false;
                (false, Behind::Sign)
            }
            "|" if leads => {
                self.parameters = true;
                (self.behind != Behind::Tight, Behind::Tight)
            }
            "||" if leads => (self.behind != Behind::Tight, Behind::Sign),
            "'" => (self.behind != Behind::Tight, Behind::Tight),
            // Behind a name, `!` calls a macro.
            "!" if !leads => (false, Behind::Value),
            "&" | "&&" | "*" | "-" | "!" if leads => (self.behind != Behind::Tight, Behind::Tight),
            _ => (true, Behind::Sign),
        };
        if before {
            self.done.push(' ');
        }
        self.done.push_str(sign);
        self.behind = behind;
    }
}

fn is_sign(text: &str) -> bool {
    ["::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "..", "..=", "+=", "-=", "*=", "/="]
        .contains(&text)
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_reads_as_it_is_written() {
        for text in [
            "Self::entry(&id, a.b)",
            "&Vec<Option<u8>>",
            "Result<Vec<u8>, Error>",
            "&'a [u8]",
            "*result > limit",
            "result.len() > 3 && !result[0].is_empty()",
            "if result.premium { Ttl::Never } else { Duration::from_secs(60) }",
            "[format!(\"{}:{result}\", id), vec![1, 2].len()]",
            "result.iter().map(|order| order.id - 1).collect::<Vec<_>>()",
            "matches!(result.kind(), 1..=3)",
            "-1 + result?.n * 2 == a || b",
            "fold(0, |&a, b| a + b)",
            "once(|| 7)",
            "User { id: result.id }",
        ] {
            assert_eq!(code(text.parse::<TokenStream>().expect(text)), text);
        }
    }
}
