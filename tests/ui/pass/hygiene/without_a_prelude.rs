//! Nothing that an expansion uses comes from the prelude.
mod bare {
    #![no_implicit_prelude]

    #[::cachemacro::cached(
        prefix = "bare", key = |id, name| (id, name.len()), tags = ["all", "n:{name}"], ttl = "1m", cache_none,
        unless = *result == 7, entry = cached_entry,
    )]
    pub(super) async fn cached(id: u32, name: ::std::string::String) -> ::std::option::Option<u32> {
        let _ = name;
        ::std::option::Option::Some(id)
    }

    #[::cachemacro::cache_put(entry = cached_entry(id, name), on_err = "evict")]
    #[::cachemacro::cache_evict(prefix = "other", key = "{id}:{result}", tags = ["x:{name}", "y:{name}:{result}"])]
    #[::cachemacro::cache_evict(prefix = "all", all, before)]
    pub(super) async fn put(id: u32, name: ::std::string::String) -> ::std::result::Result<u32, ()> {
        let _ = name;
        ::std::result::Result::Ok(id)
    }

    pub(super) struct Service;

    #[::cachemacro::cache_config(prefix = "service")]
    impl Service {
        #[::cachemacro::cached(key = "{id}", entry = service_entry)]
        pub(super) async fn get<T>(&self, id: T) -> u32
        where
            T: ::std::fmt::Display + ::std::convert::Into<u32>,
        {
            id.into()
        }
    }

    #[::cachemacro::cached]
    pub(super) fn later(id: u32) -> impl ::std::future::Future<Output = u32> + ::std::marker::Send {
        async move { id }
    }
}

#[test]
fn runs() {
    cachemacro_tests::attributes::run(async {
        assert_eq!(bare::cached(1, "x".to_owned()).await, Some(1));
        assert_eq!(bare::put(2, "x".to_owned()).await, Ok(2));
        assert_eq!(bare::cached_entry(2, "x".to_owned()).get().await.unwrap(), Some(2));
        assert_eq!(bare::Service.get(3u8).await, 3);
        assert!(bare::Service::service_entry(&3u8).has().await.unwrap());
        assert_eq!(bare::later(4).await, 4);
    });
}
