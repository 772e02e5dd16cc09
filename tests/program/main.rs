//! The whole program from outside: the real binary on real experiment files.

mod commands;
mod comparing;
mod completing;
mod deciding;
mod describing;
#[cfg(unix)]
mod determinism;
mod faults;
mod gymnasium;
mod hard_inputs;
mod images;
mod keys;
mod laboratory;
mod older_names;
mod piano_rolls;
mod records;
mod schedules;
mod supported;
mod tables;
mod tables_of_text;
mod terminal;
mod typing;
mod written_tables;
