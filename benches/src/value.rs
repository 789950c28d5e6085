//! The value that is cached: ten fields, 260 bytes in bincode, or more with a longer note.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub city: String,
    pub street: String,
    pub roles: Vec<String>,
    pub note: String,
    pub balance: i64,
    pub active: bool,
    pub score: f64,
}

/// The user of this number, with a note of so many bytes.
pub fn user(id: u64, note: usize) -> User {
    User {
        id,
        name: format!("Ada Lovelace the {id:04}th"),
        email: format!("ada.lovelace.{id:04}@example.org"),
        city: "London, England".into(),
        street: "12 St James's Square, Westminster".into(),
        roles: vec!["reader".into(), "writer".into(), "admin".into()],
        note: "n".repeat(note),
        balance: -1_234_567,
        active: true,
        score: 0.75,
    }
}

/// As the baseline stores it.
pub fn encode(user: &User) -> Vec<u8> {
    bincode::serde::encode_to_vec(user, bincode::config::standard()).expect("it can be encoded")
}

/// As the baseline reads it.
pub fn decode(bytes: &[u8]) -> User {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it was encoded").0
}
