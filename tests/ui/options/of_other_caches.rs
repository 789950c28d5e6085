use cachemacro::cached;

#[cached(result = true)]
async fn f0(id: u32) -> u32 {
    id
}

#[cached(option = true)]
async fn f1(id: u32) -> u32 {
    id
}

#[cached(time = 60)]
async fn f2(id: u32) -> u32 {
    id
}

#[cached(size = 100)]
async fn f3(id: u32) -> u32 {
    id
}

#[cached(convert = r#"{ id }"#)]
async fn f4(id: u32) -> u32 {
    id
}

#[cached(in_impl = true)]
async fn f5(id: u32) -> u32 {
    id
}

#[cached(sync_writes = "by_key")]
async fn f6(id: u32) -> u32 {
    id
}

#[cached(name = "USERS")]
async fn f7(id: u32) -> u32 {
    id
}

#[cached(create = "{ x() }")]
async fn f8(id: u32) -> u32 {
    id
}

#[cached(ty = "TimedCache<u32, u32>")]
async fn f9(id: u32) -> u32 {
    id
}

#[cached(type = "TimedCache<u32, u32>")]
async fn f10(id: u32) -> u32 {
    id
}

#[cached(time_refresh = true)]
async fn f11(id: u32) -> u32 {
    id
}

#[cached(with_cached_flag = true)]
async fn f12(id: u32) -> u32 {
    id
}

#[cached(max_size = 10)]
async fn f13(id: u32) -> u32 {
    id
}

#[cached(unbound)]
async fn f14(id: u32) -> u32 {
    id
}

#[cached(disk = true)]
async fn f15(id: u32) -> u32 {
    id
}

#[cached(map_error = r#"|e| e"#)]
async fn f16(id: u32) -> u32 {
    id
}

#[cached(redis = true)]
async fn f17(id: u32) -> u32 {
    id
}

#[cached(cache_prefix_block = "{ x }")]
async fn f18(id: u32) -> u32 {
    id
}

#[cached(cacheNames = "users")]
async fn f19(id: u32) -> u32 {
    id
}

#[cached(key_prefix = "user")]
async fn f20(id: u32) -> u32 {
    id
}

#[cached(expire = "5m")]
async fn f21(id: u32) -> u32 {
    id
}

#[cached(ex = 60)]
async fn f22(id: u32) -> u32 {
    id
}

#[cached(timeout = 5)]
async fn f23(id: u32) -> u32 {
    id
}

#[cached(capacity = 10)]
async fn f24(id: u32) -> u32 {
    id
}

#[cached(result_fallback = true)]
async fn f25(id: u32) -> u32 {
    id
}

fn main() {}
