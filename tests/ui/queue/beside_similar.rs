use cachemacro::{WriteBehind, cached};

struct Help {
    answers: WriteBehind<String>,
}

impl Help {
    #[cached(key = "{tenant}:{question}", similar = question, threshold = 0.9, write_behind = self.answers)]
    async fn answer(&self, tenant: u32, question: &str) -> String {
        format!("{tenant}{question}")
    }
}

fn main() {}
