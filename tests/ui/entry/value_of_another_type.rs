use cachemacro::cached;

#[cached(entry = f_entry, value = u64)]
async fn f(id: u32) -> Rows {
    Ok(vec![id])
}

type Rows = Result<Vec<u32>, String>;

fn main() {}
