//! A body gives what the signature says, through the coercions that a function has.
use std::error::Error;
use std::sync::Arc;

use cachemacro::cached;
use cachemacro_tests::attributes::{assert_send, run};

#[cached]
async fn parsed(text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        return Err(Box::new(std::fmt::Error));
    }
    if text == "x" {
        return Err("x is no number".into());
    }
    Ok(text.parse()?)
}

#[cached]
async fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}

#[cached]
async fn unshareable(text: &str) -> Result<u32, Box<dyn Error>> {
    Ok(text.parse()?)
}

#[cached]
async fn diverging(fail: bool) -> Result<(), String> {
    if fail {
        return Err("as asked".to_owned());
    }
    loop {
        break Ok(());
    }
}

#[test]
fn runs() {
    run(async {
        assert_eq!(assert_send(parsed("7")).await.unwrap(), 7);
        assert!(parsed("x").await.unwrap_err().to_string().contains("no number"));
        assert!(parsed("").await.is_err());
        assert_eq!(&*shared("a").await, "a");
        assert_eq!(assert_send(unshareable("7")).await.unwrap(), 7);
        assert!(diverging(true).await.is_err());
        assert!(diverging(false).await.is_ok());
    });
}
