//! The attributes of cachemacro, and the derive for shapes.

mod schema;

/// Describes the shape of a type whose `Deserialize` cannot be walked through, so that entries written by an older or newer
/// version of it are misses: types with `#[serde(flatten)]`, `#[serde(tag = …)]` or `#[serde(untagged)]`.
///
/// Names, order and types of fields and variants count, and the `#[serde(…)]` attributes as they stand. Fields that serde
/// skips do not. Type parameters must be `CacheSchema` themselves. Fields whose types have no `CacheSchema` are walked.
///
/// `#[cachemacro(crate = path)]` names the facade where it is not `::cachemacro`.
///
/// ```ignore
/// #[derive(Clone, Serialize, Deserialize, CacheSchema)]
/// #[serde(tag = "type")]
/// enum Event {
///     Created { id: u64 },
///     Renamed { id: u64, name: String },
/// }
/// ```
#[proc_macro_derive(CacheSchema, attributes(cachemacro))]
pub fn cache_schema(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    schema::derive(input.into()).into()
}
