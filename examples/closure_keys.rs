//! What a key can be: a template, a closure, a function, an expression, or every argument.
//!
//! `cargo run --example closure_keys` prints the key that each form gives. Arguments are percent-encoded where that
//! is needed, so equal keys come from equal arguments only.

use cachemacro::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Query {
    text: String,
    page: u32,
    /// Says who asked; the answer does not depend on it.
    trace: String,
}

/// A template: arguments, their fields, methods on them.
#[cached(prefix = "template", key = "{tenant}:{query.text.to_lowercase()}:{query.page}", entry = template_entry)]
async fn template(tenant: &str, query: &Query) -> String {
    format!("{tenant}: page {} of {}", query.page, query.text)
}

/// A closure: its parameters are references to the arguments, by position, so no types are written.
#[cached(prefix = "closure", key = |tenant, query| (tenant, query.text.trim(), query.page), entry = closure_entry)]
async fn closure(tenant: &str, query: &Query) -> String {
    format!("{tenant}: page {} of {}", query.page, query.text)
}

/// A function that several sites share.
#[cached(prefix = "function", key = normalized, entry = function_entry)]
async fn function(tenant: &str, query: &Query) -> String {
    format!("{tenant}: page {} of {}", query.page, query.text)
}

fn normalized(tenant: &str, query: &Query) -> (String, String, u32) {
    (tenant.to_owned(), query.text.to_lowercase(), query.page)
}

/// An expression over the arguments: anything that serde can write.
#[cached(prefix = "expression", key = (tenant.len(), &query.text), entry = expression_entry)]
async fn expression(tenant: &str, query: &Query) -> String {
    format!("{tenant}: page {} of {}", query.page, query.text)
}

/// No key at all: every argument, except those that `skip` names. A struct is as good as a number.
#[cached(prefix = "default", skip(trace), entry = default_entry)]
async fn everything(tenant: &str, page: Option<u32>, trace: &str) -> String {
    format!("{tenant}: page {page:?}, asked by {trace}")
}

#[tokio::main]
async fn main() {
    let query = Query { text: "Blue Suede: Shoes".to_owned(), page: 2, trace: "a1".to_owned() };
    let entries = [
        ("template", template_entry("acme", &query)),
        ("closure", closure_entry("acme", &query)),
        ("function", function_entry("acme", &query)),
        ("expression", expression_entry("acme", &query)),
        ("all but trace", default_entry("acme", Some(2))),
        ("None, not 2", default_entry("acme", None)),
    ];
    for (form, entry) in &entries {
        let key = entry.key().map_or("no key", |key| key.as_str());
        println!("{form:<14} {key}");
    }

    // The same call with another trace is a hit: the trace is in no key.
    for trace in ["a1", "b2"] {
        let asked = Query { trace: trace.to_owned(), ..query.clone() };
        println!("trace {}: {}", asked.trace, closure("acme", &asked).await);
        template("acme", &asked).await;
        function("acme", &asked).await;
        expression("acme", &asked).await;
        everything("acme", Some(2), trace).await;
    }
    let stats = cachemacro::Cache::current().stats().total;
    println!("{} loads, {} hits", stats.loads, stats.hits);
}
