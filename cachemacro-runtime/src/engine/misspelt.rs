//! In debug builds: a tag that is evicted, and that no function which was called makes, is most probably misspelt.
//!
//! Functions that were not called yet are not known, so it is asked only once a function with tags was called; and where tags come
//! from expressions, or are recorded by loads, or entries by hand have some, any tag may be meant.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::removals::Removals;
use crate::format::stamps::tag_hash;
use crate::ground::sync::lock;
use crate::observe::stats::Counters;

/// What is known of tags.
#[derive(Debug, Default)]
pub(crate) struct Misspelt {
    /// Some come from where nobody can see.
    may_be_any: AtomicBool,
    /// What was warned of.
    warned: Mutex<BTreeSet<String>>,
}

/// How many are warned of.
const MOST: usize = 100;

impl Misspelt {
    /// Takes note of tags that no template makes.
    pub(crate) fn may_be_any(&self) {
        if cfg!(debug_assertions) {
            self.may_be_any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether an evict of these is worth a look.
    pub(crate) fn doubts(&self, removals: &Removals) -> bool {
        cfg!(debug_assertions) && !removals.tags.is_empty() && !self.may_be_any.load(Ordering::Relaxed)
    }

    /// Warns once of each tag among these that none of these templates makes. `writes` is what the attribute of the evicting function says.
    pub(crate) fn warn(
        &self,
        removals: &Removals,
        site: Option<&Counters>,
        templates: &[&str],
        writes: &[&str],
    ) {
        if templates.is_empty() || templates.iter().any(|template| template.starts_with("= ")) {
            return;
        }
        for tag in &removals.tags {
            if templates.iter().any(|template| makes(template, tag)) {
                continue;
            }
            // A template is the program's; the tag itself may be a secret.
            let written = writes.iter().filter_map(|write| write.strip_prefix("tag "));
            let template = written.filter(|template| makes(template, tag)).min().unwrap_or_default();
            let hash = if template.is_empty() { tag_hash(tag) } else { 0 };
            let told = if template.is_empty() { format!("#{hash:016x}") } else { template.to_owned() };
            let mut warned = lock(&self.warned);
            if warned.len() < MOST && warned.insert(told.clone()) {
                drop(warned);
                tracing::warn!(
                    site = site.and_then(Counters::site).map(ToString::to_string),
                    tag = told,
                    "a tag is evicted that no function which was called so far gives its entries: is it misspelt? \
                     (said in debug builds)"
                );
            }
        }
    }
}

/// Whether a template may make this tag: what stands in its placeholders may be anything.
fn makes(template: &str, tag: &str) -> bool {
    let mut texts = Vec::new();
    let mut rest = template;
    while let Some((before, hole)) = rest.split_once('{') {
        let Some((_, after)) = hole.split_once('}') else { return true };
        texts.push(before);
        rest = after;
    }
    let Some((first, between)) = texts.split_first() else { return template == tag };
    let Some(mut left) = tag.strip_prefix(first).and_then(|left| left.strip_suffix(rest)) else {
        return false;
    };
    // The first place will do: each placeholder takes as little as it can.
    for text in between {
        match left.find(text) {
            Some(at) => left = &left[at + text.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::makes;

    #[test]
    fn a_template_makes_what_its_text_fits() {
        for (template, tag, fits) in [
            ("users", "users", true),
            ("users", "user", false),
            ("org:{org}", "org:7", true),
            ("org:{org}", "orgs:7", false),
            ("org:{org}", "org:", true),
            ("{a}:{b}", "1:2", true),
            ("{a}:{b}", "12", false),
            ("a{x}b{y}c", "a1b2c", true),
            ("a{x}b{y}c", "a12c", false),
            ("a{x}a", "a", false),
            ("{", "anything", true),
        ] {
            assert_eq!(makes(template, tag), fits, "{template} {tag}");
        }
    }
}
