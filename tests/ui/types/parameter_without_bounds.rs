use cachemacro::cached;

#[cached()]
async fn f<T: Default>(id: u32) -> T {
    let _ = id;
    T::default()
}

fn main() {}
