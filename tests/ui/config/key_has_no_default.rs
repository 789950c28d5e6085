use cachemacro::cache_config;

struct Users;

#[cache_config(key = "{id}", entry = e, skip(pool))]
impl Users {}

fn main() {}
