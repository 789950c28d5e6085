//! `similar` in every form, with what goes beside it.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use cachemacro::{Asked, Beside, Cache, Candidate, Embedder, Result, Stored, cached};
use cachemacro_tests::attributes::run;

/// Finds whatever was asked before, in the same scope.
#[derive(Default)]
struct Finds(std::sync::Mutex<Vec<(String, Arc<str>)>>);

#[async_trait]
impl Beside for Finds {
    fn stored(&self, stored: &Stored<'_>) {
        let meaning = stored.meaning.expect("it has one");
        self.0.lock().unwrap().push((meaning.scope.to_string(), meaning.text.clone()));
    }

    async fn near(&self, asked: &Asked<'_>) -> Vec<Candidate> {
        let known = self.0.lock().unwrap();
        let same = known.iter().filter(|(scope, _)| scope == asked.scope);
        same.map(|(_, text)| Candidate::new("x", text.clone(), 1.0)).collect()
    }
}

#[derive(Clone)]
struct Model;

#[async_trait]
impl Embedder for Model {
    fn id(&self) -> &str {
        "none"
    }

    fn dimensions(&self) -> usize {
        1
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(vec![vec![1.0]; texts.len()])
    }
}

async fn yes(asked: &str, stored: &str, answer: &String) -> bool {
    asked != stored && !answer.is_empty()
}

const THRESHOLD: f64 = 0.9;

#[cached(similar = question, threshold = 0.9, scope = "shared")]
async fn alone(question: &str) -> String {
    question.to_owned()
}

#[cached(similar = question, threshold = THRESHOLD, confirm = yes, tags = ["all", "of:{question}", "in:{language}"], refresh = "80%", ttl = "1h")]
async fn by_language(language: &str, question: String, page: u32) -> Option<String> {
    Some(format!("{language} {question} {page}"))
}

#[cached(key = "{tenant}/{question.to_lowercase()}-{page:?}", similar = question, threshold = THRESHOLD / 2.0, embedder = Model, entry = templated_entry)]
async fn templated(
    tenant: u32,
    question: Cow<'static, str>,
    page: Option<u8>,
) -> std::result::Result<String, String> {
    Ok(format!("{tenant} {question} {page:?}"))
}

#[cached(similar = r#type, threshold = 1.0, skip(pool))]
async fn generic<T: serde::Serialize + Clone + Send>(r#type: Arc<str>, of: T, pool: u8) -> String {
    let _ = (of, pool);
    r#type.to_string()
}

struct Faq {
    model: Arc<dyn Embedder>,
    cache: Cache,
}

impl Faq {
    #[cached(cache = self.cache, key = "{self.tenant()}:{question}", similar = question, threshold = 0.9, embedder = self.model, confirm = Self::same, entry = answer_entry, tags = [format!("of:{question}"), "all".to_owned()])]
    async fn answer(&self, question: &str) -> String {
        question.to_owned()
    }

    fn tenant(&self) -> u32 {
        7
    }

    async fn same(asked: &str, stored: &str, _answer: &String) -> bool {
        asked.len() == stored.len()
    }
}

#[test]
fn similar() {
    let finds = Arc::new(Finds::default());
    let cache = Cache::builder().memory().beside(finds.clone()).build().unwrap();
    let faq = Faq { model: Arc::new(Model), cache: cache.clone() };
    run(cache.scope(async {
        assert_eq!(alone("a").await, "a");
        assert_eq!(alone("b").await, "a");

        assert_eq!(by_language("en", "a".to_owned(), 1).await.unwrap(), "en a 1");
        assert_eq!(by_language("en", "b".to_owned(), 1).await.unwrap(), "en a 1");
        assert_eq!(by_language("en", "c".to_owned(), 2).await.unwrap(), "en c 2");
        assert_eq!(by_language("de", "d".to_owned(), 1).await.unwrap(), "de d 1");

        assert_eq!(templated(1, "A".into(), None).await.unwrap(), "1 A None");
        assert_eq!(templated(1, "B".into(), None).await.unwrap(), "1 A None");
        assert_eq!(templated(1, "B".into(), Some(1)).await.unwrap(), "1 B Some(1)");
        assert_eq!(templated(2, "B".into(), None).await.unwrap(), "2 B None");
        let alike = templated_entry(&1, &Cow::from("Z"), &None).similar("C").await.unwrap().unwrap();
        assert!(alike.key.as_str().ends_with("1/a-None"), "{}", alike.key.as_str());

        assert_eq!(generic::<u8>("a".into(), 1, 1).await, "a");
        assert_eq!(generic::<u8>("b".into(), 1, 2).await, "a");
        assert_eq!(generic::<u16>("c".into(), 1, 2).await, "c");
        assert_eq!(generic::<u8>("d".into(), 2, 2).await, "d");

        assert_eq!(faq.answer("a").await, "a");
        assert_eq!(faq.answer("b").await, "a");
        assert_eq!(faq.answer("longer").await, "longer");
        assert_eq!(faq.answer_entry("c").similar("c").await.unwrap().unwrap().value, "a");
    }));
    assert_eq!(finds.0.lock().unwrap().len(), 12);
}
