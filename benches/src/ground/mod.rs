//! What questions stand on: the machine, servers, values, and how subjects take turns.

pub mod machine;
pub mod pin;
pub mod proxy;
pub mod rounds;
pub mod server;
pub mod value;
