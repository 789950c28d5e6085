//! Through the tree of a statement, from name to name.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, InTarget, ObjectName, Query, Select, Statement, TableFactor, Visitor};

use crate::sql::deeds;
use crate::sql::reading::Reading;

/// One walk through the statements of a text.
pub(crate) struct Walk<'a>(pub(crate) Reading<'a>);

impl Visitor for Walk<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.enters(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.leaves(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        // Into a new table, or into variables.
        if select.into.is_some() {
            self.0.found.writes_unknown();
            self.0.found.changes_catalogue();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.0.names(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } => {
                self.0.pass(name);
                self.0.calls_in_place_of_a_table(name);
            }
            TableFactor::Function { name, .. } => self.0.calls_in_place_of_a_table(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.0.calls(&function.name),
            Expr::In { target: InTarget::Table { name, args: Some(_) }, .. } => {
                self.0.pass(name);
                self.0.calls_in_place_of_a_table(name);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        deeds::of(&mut self.0, statement);
        ControlFlow::Continue(())
    }
}
