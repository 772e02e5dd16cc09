//! Faults of an experiment file: what is wrong, where, what was expected and what to try.
//!
//! The faults of a file are collected, then shown at once: for people with the offending lines quoted, for programs
//! as JSON.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

use super::tree::{Sources, Span};
use crate::error::Fault;

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be run.
    Error,
    /// The file can be run, but probably does not say what was meant.
    Warning,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// Where; `None` where nothing was written, as for a file that does not exist.
    pub span: Option<Span>,
    /// What was expected there.
    pub label: String,
    /// Other places that belong to the fault, each with its text.
    pub secondary: Vec<(Span, String)>,
    /// Further information.
    pub note: Option<String>,
    /// What to try.
    pub help: Option<String>,
}

/// The longest message or label, in characters.
const LONGEST_MESSAGE: usize = 500;

/// The longest help or note, in characters: some list the names of all keys or metrics.
const LONGEST_HELP: usize = 4000;

/// The longest piece of a value that a message repeats, in characters.
const LONGEST_VALUE: usize = 60;

/// The beginning of a value, for messages that repeat it: on one line, cut after 60 characters.
pub fn brief(text: &str) -> String {
    shortened(text, LONGEST_VALUE)
}

/// Line breaks become spaces, and what is too long ends in `…`.
fn shortened(text: &str, longest: usize) -> String {
    let mut short: String = text
        .chars()
        .take(longest + 1)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if let Some((end, _)) = short.char_indices().nth(longest) {
        short.truncate(end);
        short.push('…');
    }
    short
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: shortened(&message.into(), LONGEST_MESSAGE),
            span: None,
            label: String::new(),
            secondary: Vec::new(),
            note: None,
            help: None,
        }
    }

    /// The same with its place and what was expected there.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.span = Some(span);
        self.label = shortened(&label.into(), LONGEST_MESSAGE);
        self
    }

    /// The same with another place that belongs to it.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push((span, label.into()));
        self
    }

    /// The same with what to try.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(&help.into(), LONGEST_HELP));
        self
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    fn render(&self, sources: &Sources, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let primary = self
            .span
            .map(|span| (span, self.label.as_str(), AnnotationKind::Primary));
        let others = self
            .secondary
            .iter()
            .map(|(span, label)| (*span, label.as_str(), AnnotationKind::Context));
        let marks: Vec<_> = primary.into_iter().chain(others).collect();
        let mut order: Vec<usize> = Vec::new();
        for (span, ..) in &marks {
            if !order.contains(&span.source) {
                order.push(span.source);
            }
        }
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        for source in order {
            let text = sources.text(source);
            let marks = marks.iter().filter(|(span, ..)| span.source == source);
            let annotations = marks.map(|(span, label, kind)| {
                let annotation = kind.span(within(text, *span));
                if label.is_empty() {
                    annotation
                } else {
                    annotation.label(*label)
                }
            });
            group = group.element(
                Snippet::source(text)
                    .path(sources.name(source))
                    .annotations(annotations),
            );
        }
        if let Some(note) = &self.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    fn to_json(&self, sources: &Sources) -> serde_json::Value {
        let place = |span: Span, label: &str| {
            let (line, column) = sources.position(span.source, span.start);
            json!({ "file": sources.name(span.source), "line": line, "column": column, "expected": label })
        };
        json!({
            "severity": match self.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "message": self.message,
            "at": self.span.map(|span| place(span, &self.label)),
            "also": self.secondary.iter().map(|(span, label)| place(*span, label)).collect::<Vec<_>>(),
            "note": self.note,
            "help": self.help,
        })
    }
}

/// The span as a range of whole characters inside the text.
fn within(text: &str, span: Span) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

/// All faults of one experiment file and its overrides, with the texts they quote.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The texts that the spans point into.
    pub sources: Sources,
    /// The faults, in the order of their places.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The faults as text with quoted lines, in colour or plain.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let parts = self.list.iter().map(|fault| fault.render(&self.sources, &renderer));
        parts.collect::<Vec<_>>().join("\n\n")
    }

    /// The faults as a JSON array.
    pub fn to_json(&self) -> serde_json::Value {
        self.list.iter().map(|fault| fault.to_json(&self.sources)).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    /// A fault that another module found in a checked spec, with its place in a file.
    pub fn of(fault: Fault, span: Span) -> Self {
        Self::error(fault.message)
            .at(span, format!("expected {}", fault.expected))
            .help(fault.help)
    }
}
