//! Keys that tell nothing: the prefix stays as it is, so that all under it can be found, and what is behind it becomes a hash
//! with a secret.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::key::prefix_of_text;

/// What stands before the hash and nowhere else: each other `%` has digits or a mark of its own behind it.
const HIDDEN: &str = "%*";

/// The secret that keys are hashed with.
#[derive(Clone)]
pub(crate) struct NameSecret(Hmac<Sha256>);

impl NameSecret {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// The key of this text that tells nothing of it: 128 bits of HMAC-SHA-256. What was hidden before stays as it is.
    pub(crate) fn hide(&self, text: &str) -> String {
        let prefix = prefix_of_text(text);
        if text[prefix.len()..].starts_with(HIDDEN) {
            return text.to_owned();
        }
        let mut hash = self.0.clone();
        hash.update(text.as_bytes());
        let hash = hash.finalize().into_bytes();
        let mut hidden = String::with_capacity(prefix.len() + HIDDEN.len() + 32);
        hidden.push_str(prefix);
        hidden.push_str(HIDDEN);
        let digits = hash[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]);
        hidden.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        hidden
    }
}

impl fmt::Debug for NameSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::scan_text;

    #[test]
    fn a_hidden_key_tells_its_prefix_and_nothing_else() {
        let (one, other) = (NameSecret::new(&[1; 32]), NameSecret::new(&[2; 32]));
        let hidden = one.hide("user:hunter2:7");
        assert!(hidden.starts_with(&scan_text("user")) && !hidden.contains("hunter2"), "{hidden}");
        assert_eq!(hidden.len(), "user:%*".len() + 32);
        assert_eq!(one.hide("user:hunter2:7"), hidden);
        assert_eq!(one.hide(&hidden), hidden, "it is hidden");
        assert_ne!(one.hide("user:hunter2:8"), hidden);
        assert_ne!(other.hide("user:hunter2:7"), hidden);
        let long = scan_text(&"p".repeat(220));
        assert!(one.hide(&format!("{long}%~00ff")).starts_with(&long));
    }
}
