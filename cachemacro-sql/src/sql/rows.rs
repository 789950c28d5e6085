//! The rows that a condition or an `INSERT` names by their key, as literals.
//!
//! A literal counts where its text can only be the key's: `id = 7`, `icao = 'EGLL'`. What would have to be converted is not known.

use std::collections::BTreeSet;

use sqlparser::ast::{BinaryOperator, Expr, Ident, InTarget, Query, SetExpr, UnaryOperator, Value};

use crate::sql::catalogue::{KeyColumn, KeyKind};
use crate::sql::dialect::Dialect;
use crate::sql::footprint::{MOST_ROWS, Rows};

/// The key of a table, and what a statement calls that.
pub(crate) struct Keyed<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) key: &'a KeyColumn,
    /// The table's alias or, where it has none, its name; folded.
    pub(crate) called: &'a str,
}

impl Keyed<'_> {
    /// The rows that a condition leaves over.
    pub(crate) fn selected(&self, condition: &Expr) -> Rows {
        let mut terms = vec![condition];
        // All terms of a conjunction hold, so one of them that names the rows is enough.
        while let Some(term) = terms.pop() {
            let keys = match term {
                Expr::Nested(inner) => {
                    terms.push(inner);
                    continue;
                }
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                    terms.extend([left.as_ref(), right.as_ref()]);
                    continue;
                }
                Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                    let sides = [(left, right), (right, left)];
                    let value = sides.into_iter().find(|(column, _)| self.is_key(column));
                    value.and_then(|(_, value)| Some(BTreeSet::from([self.text(value)?])))
                }
                Expr::In { expr, target: InTarget::List(list), negated: false, .. } if self.is_key(expr) => {
                    self.texts(list.iter())
                }
                _ => None,
            };
            if let Some(keys) = keys {
                return Rows::Keys(keys);
            }
        }
        Rows::Unknown
    }

    /// The rows that are inserted under these columns.
    pub(crate) fn inserted(&self, mut columns: impl Iterator<Item = String>, source: Option<&Query>) -> Rows {
        let at = columns.position(|column| column == self.key.name);
        let values = source.map(|query| query.body.as_ref());
        let (Some(at), Some(SetExpr::Values(values))) = (at, values) else { return Rows::Unknown };
        let keys: Option<Vec<&Expr>> = values.rows.iter().map(|row| row.content.get(at)).collect();
        keys.and_then(|keys| self.texts(keys.into_iter())).map_or(Rows::Unknown, Rows::Keys)
    }

    fn texts<'e>(&self, values: impl ExactSizeIterator<Item = &'e Expr>) -> Option<BTreeSet<String>> {
        if values.len() > MOST_ROWS {
            return None;
        }
        values.map(|value| self.text(value)).collect()
    }

    fn is_key(&self, column: &Expr) -> bool {
        let is_it = |name: &Ident| self.dialect.fold(name) == self.key.name;
        match column {
            Expr::Identifier(name) => is_it(name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                // With a schema before it, it may be another table of this name.
                [table, name] => is_it(name) && self.dialect.fold(table) == self.called,
                _ => false,
            },
            _ => false,
        }
    }

    /// What a literal's row goes by.
    fn text(&self, value: &Expr) -> Option<String> {
        match (self.key.kind, value) {
            (KeyKind::Integer, Expr::UnaryOp { op: UnaryOperator::Minus, expr }) => match literal(expr)? {
                Value::Number(digits, _) => Some((-integer(digits)?).to_string()),
                _ => None,
            },
            (KeyKind::Integer, value) => match literal(value)? {
                Value::Number(digits, _) => Some(integer(digits)?.to_string()),
                Value::SingleQuotedString(text) => integer(text).map(|value| value.to_string()),
                _ => None,
            },
            (KeyKind::Text, value) => match literal(value)? {
                // A column of so many characters cuts blanks off.
                Value::SingleQuotedString(text) if !text.ends_with(' ') => Some(text.clone()),
                _ => None,
            },
        }
    }
}

fn literal(value: &Expr) -> Option<&Value> {
    match value {
        Expr::Value(value) => Some(&value.value),
        _ => None,
    }
}

/// Digits without a sign, a point or an exponent.
fn integer(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
