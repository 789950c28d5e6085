//! Which names of a statement are tables that it reads, as far as is visited.

use std::collections::BTreeSet;

use sqlparser::ast::{Ident, ObjectName, Query, SetExpr};

use crate::sql::calls::runs_text;
use crate::sql::catalogue::Catalogue;
use crate::sql::dialect::Dialect;
use crate::sql::footprint::Found;

/// The names of common table expressions that a query brings along.
struct Scope {
    names: Vec<String>,
    /// Where the expressions are, to know when one of them ends.
    bodies: Vec<usize>,
    /// So many of the names are known so far: an expression sees those before it.
    known: usize,
    /// An expression sees itself, too.
    knows_itself: bool,
}

/// What was seen so far of the statements of a text.
pub(crate) struct Reading<'a> {
    pub(crate) found: Found<'a>,
    scopes: Vec<Scope>,
    /// Where names stand that are visited as relations and are none that is read.
    passed: BTreeSet<usize>,
}

/// Where something is, to be told from all else while the tree lives.
fn place<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

impl<'a> Reading<'a> {
    /// Of statements in a database with this catalogue.
    pub(crate) fn new(catalogue: &'a Catalogue) -> Self {
        Self { found: Found::new(catalogue), scopes: Vec::new(), passed: BTreeSet::new() }
    }

    /// A query begins, and brings names along.
    pub(crate) fn enters(&mut self, query: &Query) {
        let dialect = self.found.catalogue.dialect();
        let mut scope = Scope { names: Vec::new(), bodies: Vec::new(), known: 0, knows_itself: false };
        if let Some(with) = &query.with {
            scope.names = with.cte_tables.iter().map(|table| dialect.fold(&table.alias.name)).collect();
            scope.bodies = with.cte_tables.iter().map(|table| place(table.query.as_ref())).collect();
            // In MySQL an expression knows itself and those before it, elsewhere all of them.
            scope.knows_itself = with.recursive && dialect == Dialect::MySql;
            if with.recursive {
                scope.known = if scope.knows_itself { 1 } else { scope.names.len() };
            }
        }
        self.scopes.push(scope);
    }

    /// It is over: by now all of its names are known.
    pub(crate) fn leaves(&mut self, query: &Query) {
        self.tables_of(&query.body);
        self.scopes.pop();
        if let Some(around) = self.scopes.last_mut()
            && let Some(at) = around.bodies.iter().position(|body| *body == place(query))
        {
            let known = (at + 1 + usize::from(around.knows_itself)).min(around.names.len());
            around.known = around.known.max(known);
            if at + 1 == around.bodies.len() {
                around.bodies.clear();
            }
        }
    }

    /// A name is visited as a relation.
    pub(crate) fn names(&mut self, name: &ObjectName) {
        if !self.passed.contains(&place(name)) {
            match split(name) {
                Some((schema, name)) => self.reads(schema, name),
                None => self.found.reads_unknown(),
            }
        }
    }

    /// Passes over this name, which is written and not read.
    pub(crate) fn pass(&mut self, name: &ObjectName) {
        self.passed.insert(place(name));
    }

    /// A table or view is read under this name, unless it is that of a common table expression.
    pub(crate) fn reads(&mut self, schema: Option<&Ident>, name: &Ident) {
        let catalogue = self.found.catalogue;
        let dialect = catalogue.dialect();
        let (schema, name) = (schema.map(|schema| dialect.fold(schema)), dialect.fold(name));
        let is_known = |scope: &Scope| scope.names[..scope.known].contains(&name);
        if schema.is_none() && self.scopes.iter().any(is_known) {
            return;
        }
        if dialect.is_own(schema.as_deref(), &name) {
            self.found.reads_unknown();
            return;
        }
        for table in catalogue.resolve(schema.as_deref(), &name) {
            self.found.reads(&table);
        }
    }

    /// A procedure is called, which may do anything unless somebody says what.
    pub(crate) fn calls_procedure(&mut self, name: &ObjectName) {
        let catalogue = self.found.catalogue;
        let effects = split(name).and_then(|(_, name)| catalogue.effects_of(&catalogue.dialect().fold(name)));
        if let Some(effects) = effects {
            self.found.calls(effects);
        } else {
            self.found.reads_unknown();
            self.found.writes_unknown();
        }
        if effects.is_none_or(|effects| effects.writes.is_none()) {
            self.found.changes_catalogue();
        }
    }

    /// A function is called.
    pub(crate) fn calls(&mut self, name: &ObjectName) {
        let catalogue = self.found.catalogue;
        let Some((_, name)) = split(name) else { return };
        let name = catalogue.dialect().fold(name);
        if let Some(effects) = catalogue.effects_of(&name) {
            self.found.calls(effects);
        } else if runs_text(catalogue.dialect(), &name) {
            self.found.reads_unknown();
            self.found.writes_unknown();
        }
    }
}

/// Schema and name.
pub(crate) fn split(name: &ObjectName) -> Option<(Option<&Ident>, &Ident)> {
    let mut parts = name.0.iter().rev();
    let last = parts.next()?.as_ident()?;
    Some((parts.next().and_then(|part| part.as_ident()), last))
}

impl Reading<'_> {
    /// `TABLE users` as a query, which is not visited as a relation.
    fn tables_of(&mut self, body: &SetExpr) {
        let mut bodies = vec![body];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Table(table) => match &table.table_name {
                    Some(name) => self.reads(table.schema_name.as_ref(), name),
                    None => self.found.reads_unknown(),
                },
                SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_ref(), right.as_ref()]),
                _ => {}
            }
        }
    }

    /// A function whose rows are read as a table's are. Some tell of the database itself, or are virtual tables: `found('a query')`.
    pub(crate) fn calls_in_place_of_a_table(&mut self, name: &ObjectName) {
        self.calls(name);
        let catalogue = self.found.catalogue;
        let dialect = catalogue.dialect();
        if let Some((schema, name)) = split(name) {
            let (folded, bare) = (schema.map(|schema| dialect.fold(schema)), dialect.fold(name));
            if dialect.is_own(folded.as_deref(), &bare) {
                self.found.reads_unknown();
            } else if catalogue.knows(&bare) {
                self.reads(schema, name);
            }
        }
    }
}
