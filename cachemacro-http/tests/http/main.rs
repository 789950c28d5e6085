//! The layer around handlers: what is stored, who is given it, and what is not shared.

mod answers;
mod at_hand;
mod bodies;
mod collapsing;
mod costs;
mod counted;
mod gateway;
mod groups;
mod identity;
mod options;
mod outside;
mod pairs;
mod putting;
mod reading;
mod support;
mod writing;
