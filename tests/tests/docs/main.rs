//! Documentation and examples say what is so: the guide, the rustdoc, the README's first steps, every example.

mod airports;
mod codecs;
mod examples;
mod guide;
mod habits;
mod layers;
mod new_user;
mod public_api;
mod rustdoc;
mod sources;
