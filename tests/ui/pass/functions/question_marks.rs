//! `?` in an option's expression leaves the function, in a closure only the closure.
use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached(prefix = "parsed", key = text.parse::<u32>()?)]
async fn parsed(text: &str) -> Result<u32, std::num::ParseIntError> {
    CALLS.add();
    let number: u32 = text.parse()?;
    Ok(number)
}

#[cached(prefix = "first", key = |text| Some(text.chars().next()?.is_numeric()))]
async fn first(text: &str) -> bool {
    CALLS.add();
    text.starts_with(char::is_numeric)
}

#[test]
fn runs() {
    run(async {
        assert_eq!((parsed("7").await, parsed("07").await), (Ok(7), Ok(7)));
        assert!(parsed("x").await.is_err());
        assert_eq!(CALLS.count(), 1, "neither one of the same key nor one without a key runs the body");
        assert!(first("1").await && first("2").await);
        assert!(!first("").await);
        assert_eq!(CALLS.count(), 3);
    });
}
