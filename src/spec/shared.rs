//! Faults of the rows of an experiment: one that several rows share is reported once.

use super::diagnostic::Diagnostic;
use super::variants;

/// Places of one fault that are quoted besides the first.
const PLACES: usize = 3;

/// Faults of the rows; equal ones are merged.
#[derive(Default)]
pub(super) struct Shared<'p> {
    found: Vec<(Diagnostic, Vec<&'p str>)>,
    /// Keys that have an effect in no row. A key with an effect in some rows is not a fault in the others.
    pub(super) unused: Vec<Diagnostic>,
}

impl<'p> Shared<'p> {
    pub(super) fn add(&mut self, fault: Diagnostic, name: &'p str) {
        let same = |known: &Diagnostic, names: &[&str]| {
            let same_words = known.message == fault.message && known.label == fault.label && known.help == fault.help;
            let is_shared = |fault| self.unused.contains(fault);
            let same_place = known.span == fault.span;
            same_words && names.last() != Some(&name) && (same_place || (!is_shared(known) && !is_shared(&fault)))
        };
        match self.found.iter_mut().find(|(known, names)| same(known, names)) {
            Some((known, names)) => {
                names.push(name);
                let places = || known.secondary.iter().map(|(span, _)| *span).chain(known.span);
                if let Some(span) = fault.span.filter(|span| !places().any(|place| place == *span))
                    && known.secondary.len() < PLACES
                {
                    known.secondary.push((span, "and here".into()));
                }
            }
            None => self.found.push((fault, vec![name])),
        }
    }

    /// The faults. A fault of only some `rows` names them.
    pub(super) fn faults(self, rows: usize) -> impl Iterator<Item = Diagnostic> {
        let Self { found, unused } = self;
        let acts_elsewhere = move |(fault, names): &(Diagnostic, Vec<_>)| unused.contains(fault) && names.len() < rows;
        let found = found.into_iter().filter(move |pair| !acts_elsewhere(pair));
        found.map(move |(mut fault, names)| {
            if names.len() < rows {
                let plural = if names.len() == 1 { "" } else { "s" };
                let names = variants::quoted_names(names.into_iter());
                fault.note = Some(format!("in the variant{plural} {names}"));
            }
            fault
        })
    }
}
