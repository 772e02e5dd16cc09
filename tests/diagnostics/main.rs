//! Experiment files on a small stand-in for the real spec: their faults, what they load to, and what never happens.

mod faults;
mod loading;
mod properties;
mod stand_in;
