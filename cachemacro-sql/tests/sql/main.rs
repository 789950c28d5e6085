//! What statements read and write, on tables of cases and on what is no SQL.

mod cases;
mod defined;
mod history;
mod hostile;
mod outbox;
mod outbox_postgres;
mod postgres;
mod watched;
