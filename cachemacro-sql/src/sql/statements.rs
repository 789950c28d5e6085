//! Texts of statements and their footprints, remembered.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use sqlparser::ast::{Statement, UtilityOption, Visit as _};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::sql::catalogue::Catalogue;
#[cfg(feature = "sqlx-sqlite")]
use crate::sql::catalogue::Effects;
use crate::sql::control::control;
use crate::sql::depth::is_shallow;
use crate::sql::dialect::Dialect;
use crate::sql::footprint::{Footprint, Found};
use crate::sql::reading::Reading;
use crate::sql::walk::Walk;

/// So many texts are remembered.
const TEXTS: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// So many bytes all remembered texts may have.
const MOST_BYTES: usize = 4 << 20;

/// A text that is longer than this is not remembered.
const LONGEST: usize = 64 << 10;

/// How deep expressions and queries may lie within one another for the parser.
const RECURSION: usize = 100;

/// The stack of an analysis: whatever is left of the caller's, and however deep the text.
const STACK: usize = 32 << 20;

/// What statements do in one database, by their text. Texts are parsed once and remembered: 1,024 of them, 4 MiB at most.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, Statements};
///
/// let statements = Statements::new(Catalogue::new(Dialect::Sqlite).table("users"));
/// let footprint = statements.footprint("UPDATE users SET name = ?2 WHERE id = ?1");
/// assert!(footprint.is_write() && !footprint.writes_anything());
/// assert!(statements.footprint("certainly no SQL").writes_anything());
/// ```
pub struct Statements {
    catalogue: Catalogue,
    texts: Mutex<Texts>,
}

struct Texts {
    footprints: LruCache<Box<str>, Arc<Footprint>>,
    bytes: usize,
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").field("catalogue", &self.catalogue).finish_non_exhaustive()
    }
}

impl Statements {
    /// Of a database with this catalogue.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres));
    /// assert!(statements.footprint("SELECT * FROM users WHERE id = $1").reads().eq(["users"]));
    /// ```
    pub fn new(catalogue: Catalogue) -> Self {
        Self { catalogue, texts: Mutex::new(Texts { footprints: LruCache::new(TEXTS), bytes: 0 }) }
    }

    /// The catalogue that they are understood by.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the statements of this text do.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// let footprint = statements.footprint("SELECT 1; DELETE FROM users");
    /// assert!(footprint.writes().map(|(table, _)| table).eq(["users"]));
    /// ```
    pub fn footprint(&self, sql: &str) -> Arc<Footprint> {
        if let Some(known) = self.lock().footprints.get(sql) {
            return Arc::clone(known);
        }
        // Outside of the lock.
        let footprint = Arc::new(stacker::grow(STACK, || analyse(&self.catalogue, sql)));
        if sql.len() <= LONGEST {
            self.lock().keep(sql, Arc::clone(&footprint));
        }
        footprint
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Texts {
    fn keep(&mut self, sql: &str, footprint: Arc<Footprint>) {
        self.bytes += sql.len();
        if let Some((old, _)) = self.footprints.push(sql.into(), footprint) {
            self.bytes -= old.len();
        }
        while self.bytes > MOST_BYTES
            && let Some((old, _)) = self.footprints.pop_lru()
        {
            self.bytes -= old.len();
        }
    }
}

/// [`Statements::footprint`], not remembered.
#[cfg(feature = "sqlx-sqlite")]
pub(crate) fn footprint_of(catalogue: &Catalogue, sql: &str) -> Footprint {
    stacker::grow(STACK, || analyse(catalogue, sql))
}

/// What the statements of this text do in a database of which nothing is known. Whether it changes the catalogue, or begins or ends a
/// transaction, its own words tell.
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub(crate) fn unknown(dialect: Dialect, sql: &str) -> Footprint {
    stacker::grow(STACK, || analyse(&Catalogue::new(dialect), sql)).unknown_besides()
}

/// What sets a trigger off that is defined by this text, and what it does, as far as that is understood.
#[cfg(feature = "sqlx-sqlite")]
pub(crate) fn trigger_of(catalogue: &Catalogue, sql: &str) -> (Option<&'static str>, Effects) {
    let tokens =
        Tokenizer::new(catalogue.dialect().grammar(), sql).tokenize_with_location().unwrap_or_default();
    let is = |token: &TokenWithSpan, keyword| match &token.token {
        Token::Word(word) => word.keyword == keyword && word.quote_style.is_none(),
        _ => false,
    };
    // `CREATE TRIGGER name BEFORE UPDATE OF column ON table …`
    let head = tokens.split(|token| is(token, Keyword::ON)).next().unwrap_or_default();
    let events = [(Keyword::INSERT, "INSERT"), (Keyword::UPDATE, "UPDATE"), (Keyword::DELETE, "DELETE")];
    let named: Vec<_> =
        events.into_iter().filter(|(word, _)| head.iter().any(|token| is(token, *word))).collect();
    let on = match named.as_slice() {
        [(_, on)] => Some(*on),
        _ => None,
    };
    let body = || {
        let begin = tokens.iter().position(|token| is(token, Keyword::BEGIN))?;
        let end = tokens.iter().rposition(|token| is(token, Keyword::END))?;
        let statements = parsed(catalogue, tokens.get(begin + 1..end)?.to_vec())?;
        let footprint = walked(catalogue, &statements);
        let tables = |anything: bool, tables: Vec<String>| (!anything).then(|| tables.into_iter().collect());
        let written = footprint.writes().map(|(table, _)| table.to_owned()).collect();
        Some(Effects {
            reads: tables(footprint.reads_anything(), footprint.reads().map(str::to_owned).collect()),
            writes: tables(footprint.writes_anything(), written),
        })
    };
    (on, stacker::grow(STACK, || body().unwrap_or(Effects::unknown())))
}

fn analyse(catalogue: &Catalogue, sql: &str) -> Footprint {
    let dialect = catalogue.dialect();
    let Ok(tokens) = Tokenizer::new(dialect.grammar(), sql).tokenize_with_location() else {
        return Footprint::unknown();
    };
    let control = control(dialect, tokens.iter().map(|token| &token.token));
    let footprint = if dialect == Dialect::Sqlite && is_pragma(&tokens) {
        let mut found = Found::new(catalogue);
        found.reads_unknown();
        found.finish()
    } else {
        parsed(catalogue, tokens).map_or_else(Footprint::unknown, |statements| walked(catalogue, &statements))
    };
    footprint.controlling(control)
}

/// Whether a text is one `PRAGMA`, many of which the parser does not know. None writes a table.
fn is_pragma(tokens: &[TokenWithSpan]) -> bool {
    let mut tokens =
        tokens.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let begins = matches!(tokens.next(), Some(Token::Word(word)) if word.keyword == Keyword::PRAGMA);
    begins && tokens.skip_while(|token| **token != Token::SemiColon).all(|token| *token == Token::SemiColon)
}

fn walked(catalogue: &Catalogue, statements: &[Statement]) -> Footprint {
    let mut walk = Walk(Reading::new(catalogue));
    walk.0.found.runs_hidden();
    for statement in statements {
        if is_only_explained(statement) {
            walk.0.found.reads_unknown();
        } else {
            let _ = statement.visit(&mut walk);
        }
    }
    walk.0.found.finish()
}

/// The statements of a text; `None` where not all of it is understood.
fn parsed(catalogue: &Catalogue, tokens: Vec<TokenWithSpan>) -> Option<Vec<Statement>> {
    let grammar = catalogue.dialect().grammar();
    if !is_shallow(tokens.iter().map(|token| &token.token)) {
        return None;
    }
    let mut parser = Parser::new(grammar).with_recursion_limit(RECURSION).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements().ok()?;
    // It also stops at an `END` that closes nothing.
    (parser.peek_token().token == Token::EOF).then_some(statements)
}

/// Whether a statement is planned and not run.
fn is_only_explained(statement: &Statement) -> bool {
    let is_analyze = |option: &UtilityOption| option.name.value.eq_ignore_ascii_case("analyze");
    match statement {
        Statement::Explain { analyze, options, .. } => !analyze && !options.iter().flatten().any(is_analyze),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_stays_within_its_bounds() {
        let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
        let long = "x".repeat(LONGEST / 2);
        for number in 0..300 {
            statements.footprint(&format!("SELECT {number} FROM {long}"));
        }
        for number in 0..2_000 {
            statements.footprint(&format!("SELECT {number}"));
        }
        statements.footprint(&format!("SELECT 1 FROM {}", "x".repeat(2 * LONGEST)));
        let texts = statements.lock();
        assert_eq!(texts.footprints.len(), TEXTS.get());
        assert_eq!(texts.bytes, texts.footprints.iter().map(|(text, _)| text.len()).sum::<usize>());
        assert!(texts.bytes <= MOST_BYTES);
    }

    #[test]
    fn a_text_is_parsed_once() {
        let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
        let first = statements.footprint("SELECT * FROM users");
        assert!(Arc::ptr_eq(&first, &statements.footprint("SELECT * FROM users")));
    }
}
