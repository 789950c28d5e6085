//! Attributes inside `macro_rules!`, with every part passed as a fragment.
use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

macro_rules! all_mine {
    ($name:ident) => {
        #[cached(prefix = "mine", key = "{id}", entry = mine_entry)]
        async fn $name(id: u32) -> u32 {
            CALLS.add();
            id
        }
    };
}
all_mine!(mine);

macro_rules! literals {
    ($vis:vis $name:ident, $entry:ident, $prefix:literal, $key:literal, $ttl:literal, [$($tag:literal),*]) => {
        #[cached(prefix = $prefix, key = $key, ttl = $ttl, tags = [$($tag),*], entry = $entry)]
        $vis async fn $name(id: u32, page: u32) -> u32 {
            CALLS.add();
            id + page
        }
    };
}
literals!(pub(crate) from_literals, literals_entry, "literals", "{id}:{page}", "1m", ["all", "id:{id}"]);

macro_rules! fragments {
    ($name:ident, $entry:ident, $arg:ident: $ty:ty => $ret:ty, $key:expr, $body:block) => {
        #[cached(prefix = "fragments", key = $key, entry = $entry)]
        async fn $name($arg: $ty) -> $ret $body
    };
}
fragments!(from_fragments, fragments_entry, name: &str => Result<usize, String>, name.to_lowercase(), {
    CALLS.add();
    if name.is_empty() { return Err("empty".to_owned()) }
    Ok(name.len())
});

macro_rules! templates {
    ($name:ident, $entry:ident, $prefix:expr, $key:expr, $ttl:expr, [$($tag:expr),*]) => {
        #[cached(prefix = $prefix, key = $key, ttl = $ttl, tags = [$($tag),*], entry = $entry)]
        async fn $name(id: u32, page: u32) -> u32 {
            CALLS.add();
            id + page
        }
    };
}
templates!(from_templates, templates_entry, "templates", "{page}-{id}", "2m", ["every", "page:{page}"]);

macro_rules! methods {
    ($ty:ident, $(fn $method:ident($self:ident, $arg:ident: $arg_ty:ty) $key:literal)*) => {
        impl $ty {
            $(
                #[cached(prefix = stringify!($method), key = $key)]
                async fn $method(&$self, $arg: $arg_ty) -> u32 {
                    CALLS.add();
                    $self.0 + u32::from($arg)
                }
            )*
        }
    };
}
struct Service(u32);
methods!(Service, fn one(self, n: u8) "{self.0}:{n}" fn two(self, n: u16) "{n}-{self.0}");

macro_rules! evicting {
    ($name:ident, $entry:expr, $tag:literal) => {
        #[cache_evict(entry = $entry, tags = [$tag])]
        async fn $name(id: u32, page: u32) -> u32 {
            id + page
        }
    };
}
evicting!(evict, literals_entry(1, 2), "r:{result}");

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(mine(1).await, 1);
            assert_eq!(from_literals(1, 2).await, 3);
            assert_eq!(from_fragments("Ab").await, Ok(2));
            assert_eq!((Service(1).one(1).await, Service(1).two(1).await), (2, 2));
            assert_eq!(from_templates(1, 2).await, 3);
            assert_eq!(CALLS.count(), 6);
        }
        assert_eq!(
            templates_entry(1, 2).key().unwrap().as_str(),
            "templates:2-1",
            "a template, not its text"
        );
        assert_eq!(from_templates(2, 2).await, 4);
        cachemacro::Cache::current().evict_tags(["page:2"]).await.unwrap();
        assert!(!templates_entry(1, 2).has().await.unwrap());
        assert_eq!(literals_entry(1, 2).key().unwrap().as_str(), "literals:1:2");
        assert_eq!(fragments_entry("AB").key().unwrap().as_str(), "fragments:ab");
        assert_ne!(from_literals(1, 3).await, 3);
        evict(1, 2).await;
        assert!(!literals_entry(1, 2).has().await.unwrap());
        cachemacro::Cache::current().evict_tags(["id:1"]).await.unwrap();
        assert!(!literals_entry(1, 3).has().await.unwrap());
        assert!(mine_entry(1).has().await.unwrap());
    });
}
