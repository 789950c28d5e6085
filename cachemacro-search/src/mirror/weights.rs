//! How much words tell.

/// What follows from all documents together.
pub(super) struct Weights {
    /// Of each term, by place; zero where it does not count.
    pub(super) idf: Vec<f32>,
    /// Of each document, by number.
    pub(super) lengths: Vec<f32>,
}

/// What a word counts that is there so often.
pub(super) fn logarithmic(count: u16) -> f32 {
    1.0 + f32::from(count).ln()
}

/// What it tells to have a word or trigram that so many of all documents have.
pub(super) fn idf(documents: usize, having: u32) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "not above a million")]
    let documents = documents as f64;
    #[allow(clippy::cast_possible_truncation, reason = "a small number")]
    let idf = (((1.0 + documents) / (1.0 + f64::from(having))).ln() + 1.0) as f32;
    idf
}
