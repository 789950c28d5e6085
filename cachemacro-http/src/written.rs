//! What a request by an unsafe method outdates, and that it is evicted whatever becomes of the handler.

use std::sync::Arc;

use cachemacro::Cache;
use http::{HeaderMap, Response, StatusCode, Uri, header, request, response};

use crate::body::CacheBody;
use crate::http_cache::HttpCache;
use crate::key::{group_tag, host, normal, original_uri, url_tag};
use crate::rules::groups;
use crate::stats::Route;

/// What became of the evicts of a request.
#[derive(Debug)]
pub(crate) enum Wrote {
    /// There was nothing to evict: the handler failed.
    Nothing,
    Evicted,
    /// The store could not be told yet: the evicts are kept and sent again.
    Failed,
}

impl Wrote {
    /// The word of Cache-Status' `detail`.
    pub(crate) const fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Evicted => Some("evicted"),
            Self::Failed => Some("evict-failed"),
        }
    }
}

/// Whether a handler that answers so has written: with 2xx or 3xx (RFC 9111, 4.4).
pub(crate) fn has_written(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// What a layer does where the handler fails, and where an evict does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failing {
    /// Evicts after a failure of the handler too: the write may have happened.
    pub(crate) on_err: bool,
    /// The status of the answer where the handler wrote and the store could not be told.
    pub(crate) on_evict_error: Option<StatusCode>,
}

impl Failing {
    /// The handler's answer, or what takes its place.
    pub(crate) fn answer<R>(
        self,
        wrote: &Wrote,
        head: response::Parts,
        body: CacheBody<R>,
    ) -> (response::Parts, CacheBody<R>) {
        match (wrote, self.on_evict_error) {
            (Wrote::Failed, Some(status)) if has_written(head.status) => {
                let mut head = Response::new(()).into_parts().0;
                head.status = status;
                (head, CacheBody::empty())
            }
            _ => (head, body),
        }
    }
}

/// Tags that are evicted when this is dropped, if not before: a handler may have written before it was dropped or panicked.
struct Guard {
    cache: Cache,
    route: Arc<Route>,
    tags: Vec<String>,
}

impl Guard {
    /// Evicts now. Where that fails, a warning is logged and the evict is sent again later.
    async fn evict(mut self, more: Vec<String>) -> Wrote {
        // Part of what the guard evicts before the first await: dropped meanwhile, it evicts these too.
        self.tags.extend(more);
        let evict = self.cache.evict().tags(&self.tags).counted_at(&self.route.named);
        let evicted = evict.run().await;
        let tags = std::mem::take(&mut self.tags).len();
        match evicted {
            Ok(_) => Wrote::Evicted,
            Err(error) => {
                tracing::warn!(%error, tags, "tags of responses were not evicted yet");
                Wrote::Failed
            }
        }
    }

    fn disarm(mut self) {
        self.tags.clear();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.tags.is_empty() {
            return;
        }
        let evict = self.cache.evict().tags(&self.tags).counted_at(&self.route.named);
        if let Err(error) = evict.run_sync() {
            tracing::warn!(%error, "tags of responses were not evicted");
        }
    }
}

/// A request by an unsafe method, which outdates what is stored of its URL (RFC 9111, 4.4).
pub(crate) struct Written {
    guard: Guard,
    /// The host that the request names, by which it is told what is of the same origin.
    host: String,
    /// The host that tags of URLs have; none where hosts are ignored.
    keyed: String,
    uri: Uri,
    reads_groups: bool,
}

impl Written {
    pub(crate) fn of(http: &HttpCache, route: &Arc<Route>, parts: &request::Parts) -> Self {
        let uri = original_uri(parts).clone();
        let host = host(parts);
        let keyed = http.settings.host.of(parts).unwrap_or_else(|| host.clone());
        let hosts = http.settings.host.written(parts);
        let tags = hosts.iter().map(|host| url_tag(host, uri.path())).collect();
        let guard = Guard { cache: http.cache.clone(), route: route.clone(), tags };
        Self { guard, host, keyed, uri, reads_groups: false }
    }

    /// Whether it outdates the groups that the response names (RFC 9875, 3).
    pub(crate) const fn with_groups(mut self, reads_groups: bool) -> Self {
        self.reads_groups = reads_groups;
        self
    }

    /// Adds tags to evict.
    pub(crate) fn and(&mut self, tags: impl IntoIterator<Item = String>) {
        self.guard.tags.extend(tags);
    }

    /// Evicts the tags that are known now, before the handler runs. They are evicted again at the end.
    pub(crate) async fn evict_ahead(&self) {
        let Guard { cache, route, tags } = &self.guard;
        Guard { cache: cache.clone(), route: route.clone(), tags: tags.clone() }.evict(Vec::new()).await;
    }

    /// After a 2xx or 3xx, evicts the tags and what Location and Content-Location name on the same host. `None`: it is not known what the
    /// handler did, so the tags are evicted.
    pub(crate) async fn finish(self, response: Option<(StatusCode, &HeaderMap)>) -> Wrote {
        let Some((status, headers)) = response else {
            return self.guard.evict(Vec::new()).await;
        };
        if !has_written(status) {
            self.guard.disarm();
            return Wrote::Nothing;
        }
        let named = self.named_by(headers);
        self.guard.evict(named).await
    }

    /// Evicts nothing: the handler did not write.
    pub(crate) fn nothing(self) {
        self.guard.disarm();
    }

    /// Evicts `tags` instead of the URL's own tag, which the response that was just stored carries, and what the response names.
    pub(crate) async fn finish_with(mut self, headers: &HeaderMap, tags: Vec<String>) -> Wrote {
        let named = self.named_by(headers);
        self.guard.tags = tags;
        self.guard.evict(named).await
    }

    /// The tags of what a response names: by Location and Content-Location besides the URL itself, and by its groups.
    fn named_by(&self, headers: &HeaderMap) -> Vec<String> {
        let places =
            [header::LOCATION, header::CONTENT_LOCATION].into_iter().filter_map(|name| headers.get(name));
        let places = places.filter_map(|place| resolved(&self.host, &self.uri, place.to_str().ok()?));
        let places = places.filter(|path| path != self.uri.path()).map(|path| url_tag(&self.keyed, &path));
        let groups =
            if self.reads_groups { groups::named(headers, &groups::INVALIDATION) } else { Vec::new() };
        places.chain(groups.iter().map(|group| group_tag(&self.host, group))).collect()
    }
}

/// The path that a reference names, where that is on this host (RFC 3986, 5.2).
fn resolved(host: &str, base: &Uri, place: &str) -> Option<String> {
    let place = place.split(['#', '?']).next().unwrap_or_default();
    let is_web = |scheme: &str| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    // What stands before the first colon is a scheme, unless a slash comes first.
    let rest = match place.split_once(':').filter(|(scheme, _)| !scheme.contains('/')) {
        Some((scheme, rest)) if is_web(scheme) && rest.starts_with("//") => rest,
        Some(_) => return None,
        None => place,
    };
    if let Some(rest) = rest.strip_prefix("//") {
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        return (normal(authority) == normal(host)).then(|| without_dots(path));
    }
    if rest.is_empty() {
        return Some(base.path().to_owned());
    }
    if rest.starts_with('/') {
        return Some(without_dots(rest));
    }
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(without_dots(&format!("{folder}/{rest}")))
}

/// A path without segments that stand for others (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if parts.peek().is_none() {
                    segments.push("");
                }
            }
            part => segments.push(part),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_on_their_own_host_alone() {
        let base: Uri = "/x/y?q".parse().unwrap();
        let of = |place: &str| resolved("shop", &base, place);
        for (place, path) in [
            ("/b", "/b"),
            ("b", "/x/b"),
            ("../b", "/b"),
            ("../../b", "/b"),
            ("./", "/x/"),
            ("..", "/"),
            ("/x/../b/./c?q#f", "/b/c"),
            ("", "/x/y"),
            ("?other", "/x/y"),
            ("//shop/b", "/b"),
            ("//SHOP:80", "/"),
            ("http://shop/b", "/b"),
            ("HTTP://shop/b", "/b"),
            ("https://u@shop.:443/x/../b", "/b"),
            ("/a:b", "/a:b"),
        ] {
            assert_eq!(of(place).as_deref(), Some(path), "{place}");
        }
        for place in [
            "http://other/b",
            "//other/b",
            "http://shop:8080/b",
            "mailto:shop",
            "ftp://shop/b",
            "http:b",
            "http://shop@other/b",
        ] {
            assert_eq!(of(place), None, "{place}");
        }
    }
}
