//! A service for the airports of the world: axum over `SQLite`, with a cache between service and database.
//!
//! Requests go [`routes`] → [`service`] → [`repository`]. Values are cached in the middle, by the attributes on the service's methods;
//! whole pages are cached on the routes, in the same store and under the same tags. [`load`] measures what both save.

pub mod data;
pub mod error;
mod finding;
pub mod geo;
pub mod load;
pub mod model;
mod questions;
pub mod repository;
pub mod routes;
pub mod senses;
pub mod service;
