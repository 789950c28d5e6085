//! Nothing: see its manifest.
