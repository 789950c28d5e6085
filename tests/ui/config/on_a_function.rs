use cachemacro::cache_config;

#[cache_config(prefix = "users")]
async fn f() -> u32 {
    1
}

fn main() {}
