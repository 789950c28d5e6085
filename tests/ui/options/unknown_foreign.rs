use cachemacro::cached;

#[cached(expire = "5m", time_to_live = 60, deadline = "60s")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
