//! The abilities of standard output and standard error: width, colour, and moving bars.
//!
//! | variable | effect |
//! |---|---|
//! | `NO_COLOR`, not empty | no colour (no-color.org) |
//! | `CLICOLOR_FORCE`, neither empty nor `0` | colour even where the output is piped |
//! | `CLICOLOR=0`, `TERM=dumb` | no colour; a dumb terminal also shows no moving bars |
//! | `COLUMNS` | the width, also where the output is piped |

use std::io::IsTerminal;

/// The width of prose where the width of the terminal is unknown.
const USUAL_WIDTH: usize = 80;

/// Prose is never wider than this: longer lines are hard to read.
const WIDEST_PROSE: usize = 100;

/// The narrowest terminal that texts are fitted to.
const NARROWEST: usize = 20;

/// The abilities of one of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Screen {
    /// Columns that a line may have; none where the output is piped, so that each row of a table is one line.
    pub(super) width: Option<usize>,
    /// Whether it is a terminal.
    pub(super) is_terminal: bool,
    /// Whether colours are wanted.
    pub(super) colour: bool,
    /// Whether lines can be drawn over again, as progress bars need it.
    pub(super) can_redraw: bool,
}

impl Screen {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        let stream = std::io::stdout();
        Self::of(
            stream.is_terminal(),
            columns(terminal_size::terminal_size_of(&stream)),
            variable,
        )
    }

    /// Standard error.
    pub(super) fn stderr() -> Self {
        let stream = std::io::stderr();
        Self::of(
            stream.is_terminal(),
            columns(terminal_size::terminal_size_of(&stream)),
            variable,
        )
    }

    /// A screen from the system's data on the stream and from the environment variables.
    pub(super) fn of(is_terminal: bool, columns: Option<usize>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").as_deref() == Some("dumb");
        let colour = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            is_terminal && !is_dumb && set("CLICOLOR").as_deref() != Some("0")
        };
        let asked = set("COLUMNS").and_then(|value| value.trim().parse().ok());
        let measured = is_terminal.then(|| columns.unwrap_or(USUAL_WIDTH));
        Self {
            width: asked
                .or(measured)
                .filter(|width| *width > 0)
                .map(|width: usize| width.max(NARROWEST)),
            is_terminal,
            colour,
            can_redraw: is_terminal && !is_dumb,
        }
    }

    /// The width that prose is wrapped at.
    pub(super) fn prose_width(&self) -> usize {
        self.width.unwrap_or(USUAL_WIDTH).min(WIDEST_PROSE)
    }
}

fn columns(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(is_terminal: bool, columns: Option<usize>, variables: &[(&str, &str)]) -> Screen {
        Screen::of(is_terminal, columns, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        let colour = |is_terminal, variables: &[(&str, &str)]| screen(is_terminal, None, variables).colour;
        assert!(colour(true, &[("TERM", "xterm-256color")]));
        assert!(!colour(false, &[("TERM", "xterm-256color")]));
        assert!(!colour(true, &[("NO_COLOR", "1")]));
        assert!(colour(true, &[("NO_COLOR", "")]), "an empty NO_COLOR has no effect");
        assert!(!colour(true, &[("TERM", "dumb")]));
        assert!(!colour(true, &[("CLICOLOR", "0")]));
        assert!(colour(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!colour(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(
            !colour(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "yes")]),
            "NO_COLOR wins"
        );
    }

    #[test]
    fn bars_are_for_terminals_that_can_redraw() {
        assert!(screen(true, None, &[("NO_COLOR", "1")]).can_redraw);
        assert!(!screen(true, None, &[("TERM", "dumb")]).can_redraw);
        assert!(!screen(false, None, &[("CLICOLOR_FORCE", "1")]).can_redraw);
    }

    #[test]
    fn the_width_is_asked_for_measured_or_usual() {
        let width = |is_terminal, columns, variables: &[(&str, &str)]| screen(is_terminal, columns, variables).width;
        assert_eq!(width(true, Some(132), &[]), Some(132));
        assert_eq!(width(true, None, &[]), Some(80));
        assert_eq!(width(false, Some(132), &[]), None, "a pipe has no width");
        assert_eq!(width(true, Some(132), &[("COLUMNS", "60")]), Some(60));
        assert_eq!(width(false, None, &[("COLUMNS", "60")]), Some(60));
        assert_eq!(width(true, Some(132), &[("COLUMNS", "wide")]), Some(132));
        assert_eq!(width(true, Some(3), &[]), Some(20));
        assert_eq!(screen(true, Some(300), &[]).prose_width(), 100);
        assert_eq!(screen(false, None, &[]).prose_width(), 80);
    }
}
