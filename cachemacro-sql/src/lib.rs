#![doc = include_str!("../README.md")]

#[cfg(all(feature = "write-behind", any(feature = "sqlx-postgres", feature = "sqlx-sqlite")))]
mod ledger;
mod sql;
mod tags;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
mod watched;

#[cfg(all(feature = "write-behind", any(feature = "sqlx-postgres", feature = "sqlx-sqlite")))]
pub use ledger::{Ledger, LedgerError, migration as ledger_migration};
pub use sql::catalogue::{Catalogue, Effects, ForeignKey, KeyKind};
pub use sql::dialect::Dialect;
pub use sql::footprint::{Footprint, Rows};
pub use sql::statements::Statements;
pub use tags::{row, row_of};
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub use watched::feed::Change;
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub use watched::handle::{Watch, Watched};
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub use watched::outbox::install::{Outbox, OutboxHealth, install, migration};
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub use watched::outbox::table::{Table, table};
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub use watched::transaction::WatchedTransaction;
