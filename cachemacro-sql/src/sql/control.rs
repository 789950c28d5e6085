//! Whether a text begins or ends transactions, by the words that its statements begin with: also where the parser knows none of them.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use crate::sql::dialect::Dialect;

/// What a text does to transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// One is open after it that it began.
    pub(crate) begins: bool,
    /// One is over, or may be, that was begun before it.
    pub(crate) ends: bool,
    /// It is one statement.
    pub(crate) is_one: bool,
}

/// Of a text in this dialect.
pub(crate) fn control<'t>(dialect: Dialect, tokens: impl IntoIterator<Item = &'t Token>) -> Control {
    let (mut control, mut open) = (Control::default(), 0_usize);
    let (mut statement, mut statements): (Vec<Keyword>, usize) = (Vec::new(), 0);
    let tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_)));
    for token in tokens.chain(std::iter::once(&Token::SemiColon)) {
        match token {
            Token::SemiColon => {
                // What a trigger or routine does is written between `BEGIN` and `END`.
                let is_definition = statement.first() == Some(&Keyword::CREATE);
                if is_definition && depth_of(&statement) > 0 {
                    statement.push(Keyword::NoKeyword);
                    continue;
                }
                if !is_definition {
                    does(dialect, &statement, &mut control, &mut open);
                }
                statements += usize::from(!statement.is_empty());
                statement.clear();
            }
            Token::Word(word) if word.quote_style.is_none() => statement.push(word.keyword),
            _ => statement.push(Keyword::NoKeyword),
        }
    }
    control.begins = open > 0;
    control.is_one = statements == 1;
    control
}

/// How many blocks of a definition are open: of what begins with `BEGIN` or `CASE` and ends with `END`. `END IF` and the like end what is
/// not counted.
fn depth_of(definition: &[Keyword]) -> usize {
    let mut kind = definition.iter().take(8);
    if !kind.any(|word| {
        matches!(word, Keyword::TRIGGER | Keyword::FUNCTION | Keyword::PROCEDURE | Keyword::EVENT)
    }) {
        return 0;
    }
    let mut words = definition.iter().peekable();
    let mut depth = 0_usize;
    let mut is_end = false;
    while let Some(word) = words.next() {
        let opens = matches!(word, Keyword::BEGIN | Keyword::CASE) && !is_end;
        is_end = *word == Keyword::END;
        let ends_other =
            words.peek().is_some_and(|next| matches!(next, Keyword::IF | Keyword::WHILE | Keyword::FOR));
        if opens {
            depth += 1;
        } else if is_end && !ends_other {
            depth = depth.saturating_sub(1);
        }
    }
    depth
}

fn does(dialect: Dialect, statement: &[Keyword], control: &mut Control, open: &mut usize) {
    let Some(first) = statement.first() else { return };
    let second = statement.get(1);
    match first {
        Keyword::BEGIN => *open += 1,
        Keyword::START if second == Some(&Keyword::TRANSACTION) => *open += 1,
        // Elsewhere a savepoint begins no transaction, and commits none where it is released.
        Keyword::SAVEPOINT if dialect == Dialect::Sqlite => *open += 1,
        Keyword::RELEASE if dialect == Dialect::Sqlite => {
            control.ends |= *open == 0;
            *open = open.saturating_sub(1);
        }
        Keyword::ROLLBACK if statement.contains(&Keyword::TO) => {}
        Keyword::COMMIT | Keyword::END | Keyword::ROLLBACK | Keyword::ABORT => {
            control.ends |= *open == 0;
            let goes_on = statement.contains(&Keyword::CHAIN) && !statement.contains(&Keyword::NO);
            *open = usize::from(goes_on);
        }
        Keyword::PREPARE if second == Some(&Keyword::TRANSACTION) => {
            control.ends |= *open == 0;
            *open = 0;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn transactions_are_found_by_the_first_words_of_statements() {
        let of = |dialect: Dialect, sql: &str| {
            let control =
                control(dialect, &Tokenizer::new(dialect.grammar(), sql).tokenize().expect("tokens"));
            (control.begins, control.ends)
        };
        for (sql, begins, ends) in [
            ("BEGIN", true, false),
            ("/* now */ begin immediate; DELETE FROM users", true, false),
            ("START TRANSACTION READ ONLY", true, false),
            ("START SLAVE", false, false),
            ("COMMIT", false, true),
            ("END TRANSACTION;", false, true),
            ("ROLLBACK", false, true),
            ("ROLLBACK TRANSACTION TO SAVEPOINT a", false, false),
            ("ABORT", false, true),
            ("PREPARE TRANSACTION 'a'", false, true),
            ("PREPARE newest AS SELECT 1", false, false),
            ("BEGIN; DELETE FROM users; COMMIT", false, false),
            ("BEGIN; CREATE TABLE a (b INT); COMMIT", false, false),
            ("BEGIN; CREATE TRIGGER a AFTER INSERT ON b BEGIN DELETE FROM c; END; COMMIT", false, false),
            (
                "CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT CASE WHEN 1 THEN 2 END; END; BEGIN",
                true,
                false,
            ),
            ("CREATE FUNCTION a() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; COMMIT", false, true),
            (
                "CREATE PROCEDURE a() BEGIN IF b THEN DELETE FROM c; END IF; BEGIN COMMIT; END; END; COMMIT",
                false,
                true,
            ),
            ("CREATE TABLE \"begin\" (b INT); COMMIT", false, true),
            ("CREATE TABLE a (b INT); BEGIN", true, false),
            ("CREATE TABLE a (begin INT); COMMIT", false, true),
            ("COMMIT; BEGIN", true, true),
            ("COMMIT AND CHAIN", true, true),
            ("COMMIT AND NO CHAIN", false, true),
            ("CREATE TRIGGER a AFTER INSERT ON b BEGIN DELETE FROM c; DELETE FROM d; END;", false, false),
            ("INSERT INTO users VALUES ('; BEGIN')", false, false),
            ("SELECT 1; SELECT \"begin\"", false, false),
            ("", false, false),
        ] {
            assert_eq!(of(Dialect::Postgres, sql), (begins, ends), "{sql}");
        }
        for (sql, begins, ends) in [
            ("SAVEPOINT a", true, false),
            ("RELEASE a", false, true),
            ("SAVEPOINT a; RELEASE a", false, false),
            ("BEGIN; SAVEPOINT a; RELEASE a", true, false),
        ] {
            assert_eq!(of(Dialect::Sqlite, sql), (begins, ends), "{sql}");
            let elsewhere = sql.starts_with("BEGIN");
            assert_eq!(of(Dialect::Postgres, sql), (elsewhere, false), "{sql}");
        }
    }
}
