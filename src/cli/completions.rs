//! `latent-lab completions SHELL`: a completion script on standard output.

use super::{Arguments, Stop, say};
use clap::{Args, CommandFactory};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "latent-lab", &mut script);
        say(&String::from_utf8_lossy(&script));
        Ok(())
    }
}
