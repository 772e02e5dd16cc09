//! Figures: drawn once, written as SVG and PNG.
//!
//! [`theme`] fixes sizes and colours by role, [`axis`] chooses ranges and ticks, [`chart`] holds a panel and its marks,
//! [`layout`] sets panels on a page and writes it. [`curves`] and [`comparison`] are the two figures that every
//! experiment gets; all take plain data.

pub mod axis;
pub mod chart;
pub mod comparison;
pub mod curves;
mod font;
#[cfg(test)]
mod gallery;
pub mod layout;
mod raster;
mod sheet;
pub mod theme;

pub use sheet::Anchor;
