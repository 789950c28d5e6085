use cachemacro::Tag;

#[derive(Tag)]
enum Misnamed {
    #[tag("org:{1}")]
    Org(u32),
    #[tag("shelf:{shop}")]
    Shelf { shop: u32, id: u32 },
    #[tag("{0}{1}")]
    Pair(u32, u32),
    #[tag("")]
    Empty,
    #[tag(org)]
    Word,
    #[tag("a}")]
    Brace,
}

#[derive(Tag)]
enum Twice {
    Org(u32),
    #[tag("org:{id}")]
    Other { id: u32 },
}

#[derive(Tag)]
struct NoEnum;

fn main() {}
