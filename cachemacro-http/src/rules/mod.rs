//! What HTTP says about caches, as functions of headers: no I/O, no clock, no bodies.
//!
//! Each takes what it needs by reference and gives an answer; whoever calls them knows the time and the store. Sections are those
//! of RFC 9111 unless another document is named.

pub(crate) mod cache_control;
pub(crate) mod conditional;
pub(crate) mod date;
pub(crate) mod digest;
pub(crate) mod fields;
pub(crate) mod freshness;
pub(crate) mod groups;
pub(crate) mod hop;
pub(crate) mod range;
pub(crate) mod reusable;
pub(crate) mod revalidate;
pub(crate) mod status;
pub(crate) mod storable;
pub(crate) mod structured;
pub(crate) mod targeted;
pub(crate) mod vary;

#[cfg(test)]
mod properties;

#[cfg(test)]
pub(crate) mod tests {
    use http::{HeaderMap, HeaderName};

    /// Lines of a header, in their order.
    pub(crate) fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }
}
