//! How good what is found is, held against rankings that scikit-learn computed and questions whose answers are known. `tests/data` has them.

mod data;
mod memory;
mod similar;
mod speed;
mod typos;
mod words;
