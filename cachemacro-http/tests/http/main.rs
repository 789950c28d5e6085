//! The layer around handlers: what is stored, who is given it, and what is not shared.

mod bodies;
mod collapsing;
mod gateway;
mod identity;
mod reading;
mod support;
mod writing;
