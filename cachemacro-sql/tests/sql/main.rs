//! What statements read and write, on tables of cases and on what is no SQL.

mod cases;
mod hostile;
mod outbox;
mod postgres;
mod watched;
