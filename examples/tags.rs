//! Tags: one evict for entries that nobody could name one by one.
//!
//! Whatever is cached of a team carries the team's tag: each page of its members, and a number that is cached by hand. A
//! write evicts the tag with one command, however many entries there are; other teams' entries stay.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cachemacro::{Cache, cache_config, cache_evict, cached};
use serde::{Deserialize, Serialize};

/// Who went from which team to which.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Move {
    from: String,
    to: String,
}

struct Directory {
    /// The team of each person.
    teams: Mutex<BTreeMap<String, String>>,
    cache: Cache,
}

#[cache_config(cache = self.cache, ttl = "10m")]
impl Directory {
    /// Two to a page. The team is an argument, so the tag is known before the load.
    #[cached(prefix = "members", tags = ["everything", "team:{team}"])]
    async fn members(&self, team: &str, page: usize) -> Vec<String> {
        let teams = self.teams();
        let members = teams.iter().filter(|(_, of)| *of == team).map(|(name, _)| name.clone());
        members.skip(page * 2).take(2).collect()
    }

    /// The same tag on an entry without an attribute.
    async fn headcount(&self, team: &str) -> usize {
        let entry = self.cache.entry("headcount", team).with_tags([format!("team:{team}")]);
        entry.get_or_load(async || self.teams().values().filter(|of| *of == team).count()).await
    }

    /// Evicts after the body, where it succeeded.
    #[cache_evict(tags = ["team:{team}"])]
    async fn join(&self, name: &str, team: &str) {
        self.teams().insert(name.to_owned(), team.to_owned());
    }

    /// `result` is what was returned: only the database knows where somebody came from.
    #[cache_evict(tags = ["team:{result.from}", "team:{result.to}"])]
    async fn transfer(&self, name: &str, to: &str) -> Move {
        let from = self.teams().insert(name.to_owned(), to.to_owned()).unwrap_or_default();
        Move { from, to: to.to_owned() }
    }

    fn teams(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.teams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all there is, and says what of it was loaded.
    async fn read(&self, step: &str) {
        let before = self.cache.stats().total;
        for team in ["red", "blue", "green"] {
            let count = self.headcount(team).await;
            for page in 0..2 {
                self.members(team, page).await;
            }
            print!("{team} {count}  ");
        }
        let after = self.cache.stats().total;
        println!("{step}: {} loads, {} hits", after.loads - before.loads, after.hits - before.hits);
    }
}

#[tokio::main]
async fn main() -> cachemacro::Result<()> {
    let people = [("Ada", "red"), ("Bob", "red"), ("Cyd", "red"), ("Dan", "blue"), ("Eve", "green")];
    let teams = people.map(|(name, team)| (name.to_owned(), team.to_owned())).into();
    let directory = Directory { teams: Mutex::new(teams), cache: Cache::memory() };

    directory.read("at first").await;
    directory.read("again").await;

    directory.join("Fay", "blue").await;
    directory.read("Fay joined blue").await;

    directory.transfer("Cyd", "green").await;
    directory.read("Cyd went from red to green").await;

    directory.cache.evict_tags(["everything"]).await?;
    directory.read("all pages evicted, no number").await;
    Ok(())
}
