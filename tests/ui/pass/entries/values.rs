//! What an entry holds is what is inside the function's result.
use cachemacro::{Entry, cached};
use cachemacro_tests::attributes::run;

type Rows = Result<Vec<u32>, String>;

#[cached(entry = alias_entry, value = Vec<u32>)]
async fn alias(n: u32) -> Rows {
    Ok(vec![n])
}

#[cached(entry = anyhow_entry)]
async fn anyhow(n: u32) -> anyhow::Result<Option<u32>> {
    Ok(Some(n))
}

#[cached(entry = io_entry)]
async fn io(n: u32) -> std::io::Result<u32> {
    Ok(n)
}

struct Holder<T>(T);

impl<T: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static> Holder<T> {
    #[cached(key = "held", entry = held_entry)]
    async fn held(&self) -> Option<T> {
        Some(self.0.clone())
    }

    #[cached(key = "own", entry = own_entry)]
    async fn own<E: std::fmt::Debug>(&self) -> Result<Vec<T>, E> {
        Ok(vec![self.0.clone()])
    }
}

/// A closure over the value may bind a name that an argument has.
#[cached(key = "{id}", entry = lists_entry, unless = result.iter().any(|id| *id == 0))]
async fn lists(id: u32) -> Vec<u32> {
    vec![id]
}

#[test]
fn runs() {
    run(async {
        for id in [0, 1] {
            lists(id).await;
            assert_eq!(lists_entry(id).has().await.unwrap(), id != 0);
        }
        alias(1).await.unwrap();
        let entry: Entry<Vec<u32>> = alias_entry(1);
        assert_eq!(entry.get().await.unwrap(), Some(vec![1]));
        anyhow(1).await.unwrap();
        assert_eq!(anyhow_entry(1).get().await.unwrap(), Some(1u32));
        io(1).await.unwrap();
        assert_eq!(io_entry(1).get().await.unwrap(), Some(1u32));
        Holder(1u8).held().await;
        assert_eq!(Holder::<u8>::held_entry().get().await.unwrap(), Some(1));
        Holder(1u8).own::<String>().await.unwrap();
        assert!(Holder::<u8>::own_entry::<String>().has().await.unwrap());
        assert!(!Holder::<u16>::own_entry::<String>().has().await.unwrap());
    });
}
