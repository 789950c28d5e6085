//! A service for the airports of the world: axum over `SQLite`, with a cache between service and database.
//!
//! Requests go [`routes`] → [`service`] → [`repository`]. Caching is in the middle layer and nowhere else: the
//! attributes on the service's methods are all there is of it. [`load`] measures what they save.

pub mod data;
pub mod error;
pub mod geo;
pub mod load;
pub mod model;
pub mod repository;
pub mod routes;
pub mod service;
