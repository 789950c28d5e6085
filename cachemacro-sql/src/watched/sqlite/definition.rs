//! What the text of a `CREATE TABLE` tells and no pragma does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::sql::dialect::Dialect;

/// Modules whose tables hold their rows themselves, or in the one that is named as their content.
const OWN_ROWS: [&str; 6] = ["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"];

/// Where the rows of a virtual table are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// In tables of its own, and in these.
    Own(Vec<String>),
    Unknown,
}

/// What a definition says of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) is_virtual: Option<Content>,
    /// Rows that stand in the way give way, whatever the statement says.
    pub(super) replaces: bool,
    /// A column compares by a collation of its own.
    pub(super) collates: bool,
}

impl Definition {
    /// Of a table that is defined by this text.
    pub(super) fn of(sql: &str) -> Self {
        let Ok(tokens) = Tokenizer::new(Dialect::Sqlite.grammar(), sql).tokenize() else {
            return Self { is_virtual: Some(Content::Unknown), replaces: true, collates: true };
        };
        let tokens: Vec<Token> =
            tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
        let words: Vec<Keyword> = tokens.iter().map(keyword).collect();
        let replaces = [Keyword::ON, Keyword::CONFLICT, Keyword::REPLACE];
        Self {
            is_virtual: (words.get(1) == Some(&Keyword::VIRTUAL)).then(|| content(&tokens, &words)),
            replaces: words.windows(3).any(|words| words == replaces),
            collates: words.contains(&Keyword::COLLATE),
        }
    }
}

fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// `CREATE VIRTUAL TABLE found USING fts5(title, body, content='papers')`
fn content(tokens: &[Token], words: &[Keyword]) -> Content {
    let using = words.iter().position(|word| *word == Keyword::USING);
    let Some((Token::Word(module), arguments)) = using.and_then(|at| tokens.get(at + 1..)?.split_first())
    else {
        return Content::Unknown;
    };
    if !OWN_ROWS.contains(&module.value.to_ascii_lowercase().as_str()) {
        return Content::Unknown;
    }
    let mut tables = Vec::new();
    for (at, token) in arguments.iter().enumerate() {
        let is_option = matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case("content"));
        if !is_option || arguments.get(at + 1) != Some(&Token::Eq) {
            continue;
        }
        match arguments.get(at + 2) {
            // It keeps an index alone.
            Some(Token::SingleQuotedString(name)) if name.is_empty() => {}
            Some(Token::SingleQuotedString(name)) => tables.push(name.clone()),
            Some(Token::Word(word)) => tables.push(word.value.clone()),
            _ => return Content::Unknown,
        }
    }
    Content::Own(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_tables_tell_where_their_rows_are() {
        let of = |sql: &str| Definition::of(sql).is_virtual;
        let own =
            |tables: &[&str]| Some(Content::Own(tables.iter().map(|&table| table.to_owned()).collect()));
        assert_eq!(of("CREATE TABLE users (id INTEGER)"), None);
        assert_eq!(of("CREATE VIRTUAL TABLE f USING fts5(title, content)"), own(&[]));
        assert_eq!(
            of("CREATE VIRTUAL TABLE f USING FTS5(title, content='papers', content_rowid = 'id')"),
            own(&["papers"])
        );
        assert_eq!(of("CREATE VIRTUAL TABLE f USING fts4(title, content=\"papers\")"), own(&["papers"]));
        assert_eq!(of("CREATE VIRTUAL TABLE f USING fts5(title, content='')"), own(&[]));
        assert_eq!(of("CREATE VIRTUAL TABLE f USING rtree(id, a, b)"), own(&[]));
        assert_eq!(of("CREATE VIRTUAL TABLE f USING fts5vocab('papers', 'row')"), Some(Content::Unknown));
        assert_eq!(of("CREATE VIRTUAL TABLE f USING csv(filename='a.csv')"), Some(Content::Unknown));
        assert_eq!(of("CREATE VIRTUAL TABLE f USING fts5(content=7)"), Some(Content::Unknown));
    }

    #[test]
    fn tables_tell_that_they_replace_rows_and_collate_columns() {
        let of = |sql: &str| {
            let Definition { replaces, collates, .. } = Definition::of(sql);
            (replaces, collates)
        };
        assert_eq!(of("CREATE TABLE a (b TEXT UNIQUE ON CONFLICT IGNORE, \"collate\" TEXT)"), (false, false));
        assert_eq!(of("CREATE TABLE a (b TEXT UNIQUE ON CONFLICT replace)"), (true, false));
        assert_eq!(of("CREATE TABLE a (b TEXT COLLATE NOCASE PRIMARY KEY)"), (false, true));
        assert_eq!(of("CREATE TABLE a ('"), (true, true), "who knows");
    }
}
