use cachemacro::cached;

#[cached(verify = "1%", verify_by = one)]
async fn of_one(id: u32) -> u32 {
    id
}

#[cached(verify = "1%", verify_by = others)]
async fn of_others(id: u32) -> Option<u32> {
    Some(id)
}

#[cached(verify = "1%", verify_by = missing)]
async fn of_none(id: u32) -> u32 {
    id
}

fn one(_: &u32) -> bool {
    true
}

fn others(_: &Option<u32>, _: &Option<u32>) -> bool {
    true
}

fn main() {}
