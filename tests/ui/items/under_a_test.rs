use cachemacro::cached;

#[tokio::test]
#[cached]
async fn f() -> u32 {
    1
}

#[tokio::main]
#[cached(prefix = "main")]
async fn main() {}
