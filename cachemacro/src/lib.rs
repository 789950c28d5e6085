// The README's links lead to files of the repository, which docs.rs does not have: what is defined first wins.
#![doc = "[keys]: https://github.com/cachemacro/cachemacro/blob/main/docs/keys.md"]
#![doc = "[tags]: https://github.com/cachemacro/cachemacro/blob/main/docs/tags.md"]
#![doc = "[consistency]: https://github.com/cachemacro/cachemacro/blob/main/docs/consistency.md"]
#![doc = "[testing]: https://github.com/cachemacro/cachemacro/blob/main/docs/testing.md"]
#![doc = "[operations]: https://github.com/cachemacro/cachemacro/blob/main/docs/operations.md"]
#![doc = "[migrating]: https://github.com/cachemacro/cachemacro/blob/main/docs/migrating.md"]
#![doc = "[changelog]: https://github.com/cachemacro/cachemacro/blob/main/CHANGELOG.md"]
#![doc = "[contributing]: https://github.com/cachemacro/cachemacro/blob/main/CONTRIBUTING.md"]
#![doc = "[security]: https://github.com/cachemacro/cachemacro/blob/main/SECURITY.md"]
#![doc = "[mit]: https://github.com/cachemacro/cachemacro/blob/main/LICENSE-MIT"]
#![doc = "[apache]: https://github.com/cachemacro/cachemacro/blob/main/LICENSE-APACHE"]
#![doc = ""]
#![doc = include_str!("../README.md")]

pub use cachemacro_derive::{CacheSchema, cache_config, cache_evict, cache_put, cached};

#[doc(inline)]
pub use cachemacro_runtime::*;
