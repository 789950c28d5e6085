//! Many entries in one call.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;

use serde::Serialize;

use crate::api::cache::Cache;
use crate::calls::batch::load_many;
use crate::engine::entry::Entry;
use crate::policy::outcome::Value;

impl Cache {
    /// The values of many ids under one prefix, in any order; ids that `load` does not know are not in the map.
    ///
    /// `load` is called with the ids that are missing, once. What another caller is loading meanwhile is waited for; what
    /// it does not bring, because its load fails or takes longer than the cache's `wait`, is loaded in a later call,
    /// which may begin before an earlier one has ended. An id that is ready is not held up by
    /// others that are still loading.
    ///
    /// The store is asked about 256 ids in one round trip, and stores 256 values or about 1 MiB in one. After one that
    /// failed it is not asked again, and the rest is loaded and not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::collections::HashMap;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let squares = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * id)).collect::<HashMap<_, _>>();
    ///
    /// let found = cache.get_or_load_many("square", [2, 3], squares).await;
    /// assert_eq!((found[&2], found[&3]), (4, 9));
    /// assert_eq!(cache.get::<u64>("square", 3).await.ok().flatten(), Some(9));
    /// # }
    /// ```
    pub async fn get_or_load_many<K, T, F>(
        &self,
        prefix: &str,
        ids: impl IntoIterator<Item = K>,
        mut load: impl FnMut(Vec<K>) -> F,
    ) -> HashMap<K, T>
    where
        K: Serialize + Eq + Hash + Clone,
        T: Value,
        F: Future<Output = HashMap<K, T>>,
    {
        let load = |ids| {
            let loaded = load(ids);
            async move { Ok::<_, std::convert::Infallible>(loaded.await) }
        };
        match self.try_get_or_load_many(ids, |id| self.entry(prefix, id), load).await {
            Ok(values) => values,
            Err(never) => match never {},
        }
    }

    /// [`get_or_load_many`](Self::get_or_load_many) with a load that can fail, and entries made by `entry`, such as
    /// the `entry` function of an attributed function. Ids whose entry belongs to another cache are loaded and not
    /// stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), &'static str> {
    /// use std::{collections::HashMap, time::Duration};
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let user = |id: &u64| cache.entry::<String>("user", id).with_ttl(Duration::from_secs(60));
    /// let load = async |ids: Vec<u64>| match &ids[..] {
    ///     [] => Err("the database has no rows"),
    ///     ids => Ok(ids.iter().map(|&id| (id, format!("user {id}"))).collect::<HashMap<_, _>>()),
    /// };
    /// let users = cache.try_get_or_load_many([7, 8], user, load).await?;
    /// assert_eq!(users[&8], "user 8");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` returned; the cache has none of its own.
    pub async fn try_get_or_load_many<K, T, E, F>(
        &self,
        ids: impl IntoIterator<Item = K>,
        entry: impl Fn(&K) -> Entry<T>,
        load: impl FnMut(Vec<K>) -> F,
    ) -> Result<HashMap<K, T>, E>
    where
        K: Eq + Hash + Clone,
        T: Value,
        F: Future<Output = Result<HashMap<K, T>, E>>,
    {
        load_many(self.core(), ids, entry, load).await
    }
}
