//! Stores around a store.

pub mod faults;
