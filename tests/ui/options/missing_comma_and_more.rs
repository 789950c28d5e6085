use cachemacro::cached;

#[cached(ttl = "5m" prefix = "", tll = "4s", key = |id "x", kye = "{id}", jitter = 5)]
async fn f(id: u32) -> Option<u32> {
    Some(id)
}

fn main() {}
