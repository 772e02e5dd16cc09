//! Figures: drawn once, written as SVG and PNG.
//!
//! [`theme`] fixes sizes and colours by role, [`axis`] chooses ranges and ticks, [`chart`] holds a panel and its marks,
//! [`layout`] sets panels on a page and writes it. [`curves`] and [`comparison`] are the two figures that every
//! experiment gets; all take plain data. [`words`] names metrics in figures.

pub mod axis;
pub mod chart;
pub mod comparison;
#[cfg(test)]
mod content;
mod contour;
mod curve_view;
pub mod curves;
mod draw;
#[cfg(test)]
mod drawn;
pub mod experiment;
mod font;
mod frame;
#[cfg(test)]
mod gallery;
mod image;
pub mod layout;
pub mod lecture;
mod marks;
mod number;
mod shapes;
mod sheet;
mod spread;
pub mod theme;
mod window;
pub mod words;

pub use number::number;
pub use sheet::Anchor;
