//! Modules that shadow the prelude, `std`, and whatever an expansion might mean.
#![allow(
    non_upper_case_globals,
    non_camel_case_types,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the names are there to be in the way"
)]

mod hostile {
    pub mod std {}
    pub mod core {}
    pub mod cachemacro {}
    pub mod serde {}

    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Result;
    pub struct Ok;
    pub struct Err;
    pub struct String;
    pub struct Vec;
    pub struct Box;
    pub trait Clone {}
    pub trait Into {}
    pub trait From {}
    pub trait ToString {}
    pub trait Send {}
    pub trait Future {}
    pub struct Entry;
    pub struct Cache;
    pub struct Probe;
    pub struct Site;
    pub const SITE: u8 = 1;
    pub const key: u8 = 1;
    pub static entry: u8 = 1;

    macro_rules! format {
        ($($t:tt)*) => {
            compile_error!("not mine")
        };
    }
    macro_rules! pin {
        ($($t:tt)*) => {
            compile_error!("not mine")
        };
    }
    macro_rules! module_path {
        ($($t:tt)*) => {
            compile_error!("not mine")
        };
    }
    pub(crate) use {format, module_path, pin};

    #[::cachemacro::cached(
        prefix = "hostile", key = "{outcome}:{site}:{body}", tags = ["all", "x:{outcome}"], entry = free_entry,
        unless = *result == 100, ttl = "1m", jitter = "5%", cache_none, condition = outcome < 10,
    )]
    pub async fn free(outcome: u8, site: u8, body: u8, writes: u8) -> ::core::option::Option<u8> {
        let when = outcome;
        ::core::option::Option::Some(when + site + body + writes + SITE + key + entry)
    }

    #[::cachemacro::cached(tags = [::std::string::ToString::to_string(result)], ttl = ::core::time::Duration::from_secs(1))]
    pub async fn rules(rules: u8, value: u8, returned: u8) -> u8 {
        rules + value + returned
    }

    #[::cachemacro::cache_put(entry = free_entry(outcome, site, body), unless = *result == outcome)]
    #[::cachemacro::cache_evict(tags = ["x:{result}", "y:{after}"], prefix = "p", key = "{result}:{outcome}")]
    pub async fn write(outcome: u8, site: u8, body: u8, after: u8) -> u8 {
        outcome + site + body + after
    }
}

#[test]
fn runs() {
    cachemacro_tests::attributes::run(async {
        assert_eq!(hostile::free(1, 2, 3, 4).await, Some(13));
        assert!(hostile::free_entry(1, 2, 3).has().await.unwrap());
        assert_eq!(hostile::rules(1, 2, 3).await, 6);
        assert_eq!(hostile::write(1, 2, 3, 4).await, 10);
        assert_eq!(hostile::free_entry(1, 2, 3).get().await.unwrap(), Some(10));
    });
}
