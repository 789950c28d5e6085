//! Documents in memory, ready to be searched.

mod dense;
mod grams;
mod postings;
mod table;
mod weights;
mod words;

#[cfg(test)]
mod tests;

pub use self::table::Mirror;
