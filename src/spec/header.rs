//! The keys of the whole file: `name`, `question` and `seeds`; and the header `[variant]` that should be `[[variant]]`.

use schemars::JsonSchema;

use super::check;
use super::diagnostic::Diagnostic;
use super::seeds::{Seeds, SeedsError};
use super::shape::Shape;
use super::tree::{Node, Sources, Value};
use super::variants;

/// The keys of the whole file, without `variant` and `grid`.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Header {
    /// The experiment's name, which is also the name of its folder of records. Default: the name of the file without
    /// `.toml`.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// The one question that the experiment answers. It is the title of the comparison.
    #[schemars(length(min = 1, max = 2000))]
    question: String,
    seeds: Seeds,
}

/// Checks `name`, `question` and `seeds`; returns the seeds.
pub(super) fn check(header: &Node, faults: &mut Vec<Diagnostic>) -> Option<Seeds> {
    let schema = schemars::schema_for!(Header).to_value();
    let entries = header.entries().unwrap_or_default().iter();
    let own = entries.filter(|entry| !matches!(entry.key.as_str(), "variant" | "grid"));
    // The code below has a better message for faulty seeds.
    let own = own.cloned().map(|mut entry| {
        if entry.key == "seeds" {
            entry.node.value = Value::Integer(1);
        }
        entry
    });
    let own = Node {
        span: header.span,
        value: Value::Table(own.collect()),
    };
    faults.extend(check::check(&own, &Shape::new(&schema, &schema), &[], false));
    if let Some(name) = header.get("name")
        && name
            .as_str()
            .is_some_and(|text| !text.is_empty() && !variants::is_name(text))
    {
        let fault = Diagnostic::error("the experiment's name is blank, has line breaks, or is too long");
        let longest = variants::LONGEST_NAME;
        faults.push(fault.at(
            name.span,
            format!("expected text on one line, at most {longest} characters"),
        ));
    }
    let node = header.get("seeds")?;
    read_seeds(node)
        .map_err(|error| faults.push(seeds_fault(node, error)))
        .ok()
}

/// `[variant]` written several times is one mistake: it makes one fault, for any number of repeated keys.
pub(super) fn one_for_single_brackets(mut faults: Vec<Diagnostic>, sources: &Sources) -> Vec<Diagnostic> {
    let header_before = |fault: &Diagnostic| {
        let span = fault.span?;
        let text = sources.text(span.source);
        let end = text[span.end.min(text.len())..]
            .find('\n')
            .map_or(text.len(), |at| span.end + at);
        let lines = text[..end].lines().rev().map(str::trim);
        let mut headers = lines.filter(|line| line.starts_with('['));
        headers.next()
    };
    let is_slip = |fault: &Diagnostic| {
        fault.message.contains("duplicate key")
            && header_before(fault).is_some_and(|line| line.starts_with("[variant]") || line.starts_with("[variant."))
    };
    let Some(first) = faults.iter().position(is_slip) else {
        return faults;
    };
    let span = faults[first].span.unwrap_or_default();
    let fault = Diagnostic::error("[variant] is written more than once").at(span, "expected [[variant]]");
    let fault = fault.help("write each variant under its own header [[variant]], in double brackets");
    faults.retain(|fault| !is_slip(fault));
    faults.push(fault);
    faults
}

/// Reads a count, a range or a list.
pub(super) fn read_seeds(node: &Node) -> Result<Seeds, SeedsError> {
    let refuse = |message: String, places| SeedsError { message, places };
    match &node.value {
        Value::Integer(n) => Seeds::count(*n),
        Value::String(text) => text.parse(),
        Value::Array(items) => {
            let number = |(place, item): (usize, &Node)| match item.value {
                Value::Integer(seed) => Ok(seed),
                _ => Err(refuse(
                    format!("a seed is {}, not a whole number", item.words()),
                    Some((place, place)),
                )),
            };
            let seeds: Result<Vec<i64>, _> = items.iter().enumerate().map(number).collect();
            Seeds::list(&seeds?)
        }
        _ => Err(refuse(
            format!("`seeds` is {}, not a number, range or list", node.words()),
            None,
        )),
    }
}

fn seeds_fault(node: &Node, error: SeedsError) -> Diagnostic {
    let items = match &node.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    let fault = Diagnostic::error(error.message);
    let fault = match error
        .places
        .and_then(|(first, second)| Some((items.get(first)?, items.get(second)?)))
    {
        Some((first, second)) if first.span != second.span => fault
            .at(second.span, "expected another seed")
            .also(first.span, "first listed here"),
        Some((_, only)) => fault.at(only.span, "expected a whole number of at least 0"),
        None => fault.at(node.span, "expected seeds"),
    };
    fault.help("write 10 for 0 to 9, \"20..30\" for 20 to 29, or a list such as [3, 5, 8]")
}
