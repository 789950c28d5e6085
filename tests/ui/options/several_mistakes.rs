use cachemacro::cached;

#[cached(tll = "5m", prefix = "", key = "{idd}", jitter = "x", unless = |a, b| true, entry = f_entry)]
async fn f(id: u32) -> Option<u32> {
    Some(id)
}

async fn caller() {
    let _ = f_entry(1);
    let _ = f(1).await;
}

fn main() {}
