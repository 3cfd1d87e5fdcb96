//! What the fuzz targets share: archives that are forged, and readers that must agree.

#[path = "../../tests/support/draft.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod draft;
#[path = "../../tests/support/frames.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod frames;

pub mod forge;
pub mod model;
pub mod readers;
pub mod text;
