use cachemacro::cache_config;

struct Users;

#[cache_config(stale = "1h", ttl = "5m")]
impl Users {}

fn main() {}
