use cachemacro::cache_config;

struct Users;

#[cache_config(local = "10s", ttl = "5m")]
impl Users {}

fn main() {}
