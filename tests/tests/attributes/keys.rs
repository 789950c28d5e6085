//! Templates: equal keys only for equal arguments, whatever stands between the placeholders.

use cachemacro::cached;

macro_rules! templates {
    ($($name:ident $entry:ident $template:literal;)+) => {
        $(
            #[cached(prefix = "p", key = $template, entry = $entry)]
            #[expect(dead_code, reason = "only its entry is asked for its key")]
            async fn $name(a: &str, b: &str) -> u32 {
                0
            }
        )+

        /// The key of each template for these arguments.
        fn keys(a: &str, b: &str) -> Vec<(&'static str, String)> {
            let key = |entry: cachemacro::Entry<u32>| entry.key().expect("text can be a key").as_str().to_owned();
            vec![$(($template, key($entry(a, b)))),+]
        }
    };
}

templates! {
    colon colon_entry "{a}:{b}";
    dash dash_entry "{a}-{b}";
    nothing nothing_entry "{a}{b}";
    letter letter_entry "{a}x{b}";
    digit digit_entry "{a}2{b}";
    percent percent_entry "{a}%{b}";
    brace brace_entry "{a}{{{b}";
    blank blank_entry "{a} {b}";
    tab tab_entry "{a}\t{b}";
    wide_blank wide_blank_entry "{a}\u{a0}{b}";
    control control_entry "{a}\u{1}{b}";
    blank_later blank_later_entry "{a}- {b}";
    accent accent_entry "{a}é{b}";
}

#[test]
fn no_separator_lets_one_argument_reach_into_the_next() {
    let pieces =
        ["", "a", ":", "-", "x", "2", "%", "20", "%20", "{", "%7B", " ", "\t", "\u{a0}", "\u{1}", "- ", "é"];
    let mut seen = std::collections::HashMap::new();
    for first in pieces {
        for second in pieces {
            for (a, b) in
                [(first.to_owned(), second.to_owned()), (format!("{first}{second}a"), String::new())]
                    .into_iter()
                    .chain([
                        (first.to_owned(), format!("{second}a")),
                        (format!("{first}a{second}"), second.to_owned()),
                    ])
            {
                for (template, key) in keys(&a, &b) {
                    let before = seen.insert((template, key), (a.clone(), b.clone()));
                    assert!(
                        before.is_none_or(|before| before == (a.clone(), b.clone())),
                        "{template:?}: {a:?}, {b:?}"
                    );
                }
            }
        }
    }
}

/// Traits of one name, implemented for one type.
mod same_names {
    use cachemacro::{Entry, cache_config, cache_evict, cache_put, cached};
    use cachemacro_tests::attributes::run;

    #[derive(Debug)]
    struct S;

    mod a {
        pub(super) trait Repo {
            async fn get(&self, id: u32) -> u32;
            async fn replace(&self, id: u32, value: u32) -> u32;
            async fn forget(&self, id: u32) -> u32;
        }
    }

    mod b {
        pub(super) trait Repo {
            async fn get(&self, id: u32) -> u32;
        }
    }

    mod x {
        use super::a::Repo;
        use super::*;

        #[cache_config]
        impl Repo for S {
            #[cached(prefix = "same", key = "{id}", entry = pub(in super::super) of_x)]
            async fn get(&self, id: u32) -> u32 {
                id
            }

            #[cache_put(prefix = "same", key = "{id}")]
            async fn replace(&self, id: u32, value: u32) -> u32 {
                let _ = id;
                value
            }

            #[cache_evict(prefix = "same", key = "{result}")]
            async fn forget(&self, id: u32) -> u32 {
                id
            }
        }
    }

    mod y {
        use super::b::Repo;
        use super::*;

        #[cache_config]
        impl Repo for S {
            #[cached(prefix = "same", key = "{id}", entry = pub(in super::super) of_y)]
            async fn get(&self, id: u32) -> u32 {
                id + 1
            }
        }
    }

    mod z {
        use super::*;

        #[derive(Debug)]
        pub(super) struct T;

        #[cache_config]
        impl a::Repo for T {
            #[cached(entry = pub(in super::super) of_a)]
            async fn get(&self, id: u32) -> u32 {
                id
            }

            async fn replace(&self, id: u32, _: u32) -> u32 {
                id
            }

            async fn forget(&self, id: u32) -> u32 {
                id
            }
        }

        #[cache_config]
        impl b::Repo for T {
            #[cached(entry = pub(in super::super) of_b)]
            async fn get(&self, id: u32) -> u32 {
                id + 1
            }
        }
    }

    fn key(entry: &Entry<u32>) -> &str {
        entry.key().expect("a number can be a key").as_str()
    }

    #[test]
    fn have_keys_of_their_own() {
        run(async {
            assert_eq!((a::Repo::get(&S, 1).await, b::Repo::get(&S, 1).await), (1, 2));
            assert_eq!((a::Repo::get(&z::T, 1).await, b::Repo::get(&z::T, 1).await), (1, 2));
            let entries = [S::of_x(1), S::of_y(1), z::T::of_a(1), z::T::of_b(1)];
            for (at, entry) in entries.iter().enumerate() {
                assert!(entry.has().await.unwrap(), "{}", key(entry));
                assert!(entries[at + 1..].iter().all(|other| key(other) != key(entry)), "{}", key(entry));
            }
            assert!(
                key(&entries[0]).ends_with("<attributes.keys.same_names.S%20as%20Repo>:1"),
                "{}",
                key(&entries[0])
            );
        });
    }

    #[test]
    fn are_written_by_prefix_and_key_within_their_impl() {
        run(async {
            a::Repo::get(&S, 1).await;
            assert_eq!(a::Repo::replace(&S, 1, 7).await, 7);
            assert_eq!(a::Repo::get(&S, 1).await, 7);
            a::Repo::forget(&S, 1).await;
            assert!(!S::of_x(1).has().await.unwrap());
        });
    }
}
