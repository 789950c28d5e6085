use cachemacro::{cache_put, cached};

#[cached(key = "{tenant}:{question}", similar = question)]
async fn no_threshold(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = 0.9)]
async fn no_scope(question: &str) -> String {
    question.to_owned()
}

#[cached(similar = question, threshold = 92)]
async fn percent(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = 1.01)]
async fn above_one(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = -0.5)]
async fn below_zero(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = 0.9)]
fn sync(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = 0.9, sealed)]
async fn sealed(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = query, threshold = 0.9)]
async fn unknown(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(key = "{tenant}", similar = question, threshold = 0.9)]
async fn not_in_key(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(key = (tenant, question), similar = question, threshold = 0.9)]
async fn expression(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(key = "{question.repeat(times)}", similar = question, threshold = 0.9, scope = "shared")]
async fn mixed(times: usize, question: &str) -> String {
    question.repeat(times)
}

#[cached(similar = question, threshold = 0.9, scope = "shared")]
async fn scope_twice(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(similar = question, threshold = 0.9, scope = "mine")]
async fn other_scope(question: &str) -> String {
    question.to_owned()
}

#[cached(similar = question, threshold = 0.9, confirm = same(question))]
async fn confirm_called(tenant: u32, question: &str) -> String {
    format!("{tenant}{question}")
}

#[cached(threshold = 0.9, embedder = model)]
async fn without(question: &str) -> String {
    question.to_owned()
}

#[cached(similar = question, threshold = 0.9, timeout = "1s")]
async fn in_time(tenant: u32, question: String) -> Option<String> {
    Some(format!("{tenant}{question}"))
}

#[cached(similar = question, threshold = 0.9)]
async fn number(tenant: u32, question: u32) -> String {
    format!("{tenant}{question}")
}

#[cache_put(prefix = "faq", key = "{question}", similar = question)]
async fn put(question: &str) -> String {
    question.to_owned()
}

fn main() {}
