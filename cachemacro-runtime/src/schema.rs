//! stub
/// f
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint {
    hash: u64,
}
impl Fingerprint {
    /// m
    pub const fn mix(&self, version: u32) -> u64 {
        self.hash ^ (version as u64)
    }
}
/// f
pub fn fingerprint_of<T: 'static>() -> Fingerprint {
    Fingerprint { hash: 1 }
}
/// t
pub trait CacheSchema {}
