//! Experiment files on a small stand-in for the real spec: their faults, what they load to, and properties of every
//! file.

mod faults;
mod layers;
mod loading;
mod overrides;
mod properties;
mod stand_in;
