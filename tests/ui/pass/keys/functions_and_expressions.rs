use cachemacro::cached;
use cachemacro_tests::attributes::run;

mod keys {
    pub fn of_both(name: &str, page: &u32) -> (String, u32) {
        (name.to_uppercase(), *page)
    }
}

const KEY: &str = "always";

#[cached(prefix = "path", key = keys::of_both, entry = path_entry)]
async fn path(name: String, page: u32) -> usize {
    name.len() + page as usize
}

#[cached(prefix = "tuple", key = (name, page / 10), entry = tuple_entry)]
async fn tuple(name: String, page: u32) -> usize {
    name.len() + page as usize
}

#[cached(prefix = "one", key = name, entry = one_entry)]
async fn one(name: String, _page: u32) -> usize {
    name.len()
}

#[cached(prefix = "call", key = build(&name, page).await)]
async fn call(name: String, page: u32) -> usize {
    name.len() + page as usize
}

async fn build(name: &str, page: u32) -> String {
    format!("{name}/{page}")
}

#[cached(prefix = "text", key = format!("{name}/{}", page + 1), entry = text_entry)]
async fn text(name: String, page: u32) -> usize {
    name.len() + page as usize
}

#[cached(prefix = "constant", key = KEY)]
async fn constant() -> u8 {
    1
}

#[cached(prefix = "branch", key = if id == 0 { None } else { Some(id) }, entry = branch_entry)]
async fn branch(id: u32) -> u32 {
    id
}

#[cached(prefix = "match", key = match flag { true => "yes", false => "no" }, entry = matched_entry)]
async fn matched(flag: bool) -> bool {
    flag
}

#[cached(prefix = "nested", key = ((a, [b, b]), list.iter().map(|a| a * 2).sum::<u32>()), entry = nested_entry)]
async fn nested(a: String, b: String, list: Vec<u32>) -> usize {
    a.len() + b.len() + list.len()
}

#[test]
fn runs() {
    run(async {
        path("a".to_owned(), 1).await;
        assert_eq!(path_entry("a".to_owned(), 1).key().unwrap().as_str(), "path:A:1");
        assert!(path_entry("a".to_owned(), 1).has().await.unwrap());
        tuple("a".to_owned(), 21).await;
        assert_eq!(tuple_entry("a".to_owned(), 29).key().unwrap().as_str(), "tuple:a:2");
        assert!(tuple_entry(&"a".to_owned(), 29).has().await.unwrap());
        one("a".to_owned(), 1).await;
        assert!(one_entry("a".to_owned()).has().await.unwrap());
        call("a".to_owned(), 1).await;
        assert_eq!(cachemacro::Cache::current().get("call", "a/1").await.unwrap(), Some(2usize));
        text("a".to_owned(), 1).await;
        assert!(text_entry("a".to_owned(), 1).has().await.unwrap());
        constant().await;
        assert_eq!(cachemacro::Cache::current().get("constant", "always").await.unwrap(), Some(1u8));
        branch(0).await;
        assert_eq!(branch_entry(0).key().unwrap().as_str(), "branch:%N");
        assert!(branch_entry(0).has().await.unwrap());
        matched(true).await;
        assert!(matched_entry(true).has().await.unwrap());
        nested("a".to_owned(), "b".to_owned(), vec![1]).await;
        assert!(nested_entry("a".to_owned(), "b".to_owned(), vec![1]).has().await.unwrap());
    });
}
