use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> u32 {
    if id == 0 {
        return "zero";
    }
    id.to_string()
}

fn main() {}
