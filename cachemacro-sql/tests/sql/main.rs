//! What statements read and write, on tables of cases and on what is no SQL.

mod cases;
mod cells;
mod defined;
mod figures;
mod history;
mod hostile;
mod ledger;
mod outbox;
mod outbox_postgres;
mod outbox_rights;
mod postgres;
mod watched;
