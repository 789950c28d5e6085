//! Whether a text is so deep that a parser's tree of it could exhaust the stack where it is walked or dropped.
//!
//! A parser bounds how deep parentheses lie, and nothing else: `a OR b OR c …` is a tree as deep as it is long.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

/// Parentheses within one another.
const MOST_NESTED: usize = 48;

/// Tokens of one chain: between two commas, with those around it of the parentheses that it stands in.
const MOST_CHAINED: usize = 4_000;

/// Queries that are combined by `UNION` and its like.
const MOST_COMBINED: usize = 200;

/// Whether trees of these tokens are so shallow that any thread can hold them.
pub(crate) fn is_shallow<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> bool {
    let (mut levels, mut chained, mut combined) = (vec![0_usize], 0_usize, 0_usize);
    for token in tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(0),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if levels.len() > 1 {
                    chained -= levels.pop().unwrap_or_default();
                }
            }
            Token::Comma => chained -= std::mem::take(last(&mut levels)),
            Token::SemiColon => {
                levels = vec![0];
                (chained, combined) = (0, 0);
            }
            token => {
                *last(&mut levels) += 1;
                chained += 1;
                if let Token::Word(word) = token {
                    combined += usize::from(is_set_operator(word.keyword));
                }
            }
        }
        if levels.len() > MOST_NESTED || chained > MOST_CHAINED || combined > MOST_COMBINED {
            return false;
        }
    }
    true
}

fn last(levels: &mut Vec<usize>) -> &mut usize {
    if levels.is_empty() {
        levels.push(0);
    }
    levels.last_mut().expect("there is one")
}

/// A chain of these goes on over commas.
const fn is_set_operator(word: Keyword) -> bool {
    matches!(word, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS)
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::GenericDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn shallow(sql: &str) -> bool {
        is_shallow(&Tokenizer::new(&GenericDialect {}, sql).tokenize().expect("tokens"))
    }

    #[test]
    fn lists_may_be_long_and_chains_may_not() {
        let list = vec!["1"; 30_000].join(", ");
        assert!(shallow(&format!("SELECT * FROM t WHERE a IN ({list})")));
        assert!(!shallow(&format!("SELECT {}", vec!["1"; 30_000].join(" + "))));
        assert!(!shallow(&format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000))));
        assert!(!shallow(&vec!["SELECT 1, 2"; 1_000].join(" UNION ")));
        assert!(shallow(&vec!["DELETE FROM t WHERE a = 1"; 1_000].join("; ")));
        assert!(shallow(") ] } ) , ;"), "what nothing opened");
    }
}
