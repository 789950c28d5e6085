//! Pages of a list, keyed by a filter struct, evicted by tag.
//!
//! A change of one article can move it on to, off, or within any page of any filter. Nobody can name those keys, so
//! each page carries tags, and a write evicts a tag: one command, however many pages there are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cachemacro::{Cache, Key, cache_config, cache_evict, cached};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Article {
    id: u32,
    author: String,
    title: String,
}

/// What a list can be asked for. Serialized, it is the key: a field added later gives new keys by itself.
#[derive(Debug, Clone, Default, Serialize)]
struct Filter {
    author: Option<String>,
    title_contains: Option<String>,
    page: usize,
}

impl Filter {
    const PAGE: usize = 2;

    fn matches(&self, article: &Article) -> bool {
        self.author.as_ref().is_none_or(|author| *author == article.author)
            && self.title_contains.as_ref().is_none_or(|text| article.title.contains(text))
    }

    /// A page of one author's articles depends on that author only; other pages depend on everybody.
    fn tag(&self) -> String {
        self.author.as_ref().map_or("pages:all".to_owned(), |author| pages_of(author))
    }
}

/// What `"pages:{result.author}"` names: templates encode what they interpolate, so that no text reaches beyond its place.
fn pages_of(author: &str) -> String {
    format!("pages:{}", Key::escape(author))
}

struct Blog {
    articles: Mutex<Vec<Article>>,
    cache: Cache,
}

#[cache_config(cache = self.cache)]
impl Blog {
    /// The whole struct is the key.
    #[cached(prefix = "articles", ttl = "10m", tags = [filter.tag()])]
    async fn list(&self, filter: &Filter) -> Vec<Article> {
        let articles = self.articles();
        let matching = articles.iter().filter(|article| filter.matches(article));
        matching.skip(filter.page * Filter::PAGE).take(Filter::PAGE).cloned().collect()
    }

    /// `result` is the article: its author's pages go, and those that show everybody.
    #[cache_evict(tags = ["pages:all", "pages:{result.author}"])]
    async fn publish(&self, author: &str, title: &str) -> Article {
        let mut articles = self.articles();
        let id = u32::try_from(articles.len()).unwrap_or(u32::MAX) + 1;
        let article = Article { id, author: author.to_owned(), title: title.to_owned() };
        articles.insert(0, article.clone());
        article
    }

    fn articles(&self) -> MutexGuard<'_, Vec<Article>> {
        self.articles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tokio::main]
async fn main() {
    let blog = Blog { articles: Mutex::default(), cache: Cache::memory() };
    for (author, title) in [("ada", "Engines"), ("bob b.", "Bread"), ("ada", "Numbers"), ("bob b.", "Butter")]
    {
        blog.publish(author, title).await;
    }

    let all = Filter::default();
    let by_ada = Filter { author: Some("ada".to_owned()), ..Filter::default() };
    let by_bob = Filter { author: Some("bob b.".to_owned()), ..Filter::default() };
    let second = Filter { page: 1, ..Filter::default() };

    for round in ["first", "second"] {
        for filter in [&all, &second, &by_ada, &by_bob] {
            show(&blog, filter).await;
        }
        println!("-- {round} round: {}", counts(&blog));
    }

    blog.publish("bob b.", "Beer").await;
    for filter in [&all, &by_bob, &by_ada] {
        show(&blog, filter).await;
    }
    println!("-- bob published; ada's page is still a hit: {}", counts(&blog));
}

async fn show(blog: &Blog, filter: &Filter) {
    let titles: Vec<String> = blog.list(filter).await.into_iter().map(|article| article.title).collect();
    let author = filter.author.as_deref().unwrap_or("all");
    println!("{author:<6} page {}: {}", filter.page + 1, titles.join(", "));
}

fn counts(blog: &Blog) -> String {
    let total = blog.cache.stats().total;
    format!("{} loads, {} hits", total.loads, total.hits)
}
