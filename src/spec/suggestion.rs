//! What was probably meant by a name or a value that a file cannot have.

use super::diagnostic::brief;
use super::foreign;
use super::shape::Form;
use super::tree::{Node, Value};

/// The longest text that is taken for a misspelt name, in bytes.
const LONGEST_SLIP: usize = 256;

/// How to write what was probably meant.
pub(super) fn conversion(node: &Node, forms: &[Form], path: &str) -> Option<String> {
    let key = path.rsplit('.').next().unwrap_or(path);
    // An item of a list has no key of its own.
    let set = if key.ends_with(']') {
        String::new()
    } else {
        format!("{key} = ")
    };
    let is = |form| forms.contains(&form);
    match &node.value {
        Value::String(text) if is(Form::List) => Some(format!("write a list: `{set}[{:?}]`", brief(text))),
        Value::String(text) if is(Form::Number) || is(Form::Integer) => {
            let number = text.trim().parse::<f64>().is_ok();
            number.then(|| format!("remove the quotes: `{set}{}`", brief(text.trim())))
        }
        Value::String(text) if is(Form::Boolean) && matches!(text.as_str(), "true" | "false") => {
            Some(format!("remove the quotes: `{set}{text}`"))
        }
        Value::Float(x) if is(Form::Integer) && x.fract() == 0.0 && x.abs() < 9e15 => {
            Some(format!("write it without point and exponent: `{set}{x}`"))
        }
        Value::Integer(_) | Value::Float(_) if is(Form::List) => {
            Some(format!("write a list: `{set}[{}]`", node.inline()))
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) if is(Form::Text) => {
            Some(format!("write it in quotes: `{set}\"{}\"`", node.inline()))
        }
        _ => None,
    }
}

/// What was probably meant by a text that is none of the names.
pub(super) fn suggestion<'a, N: Iterator<Item = &'a str>>(text: &str, names: impl Fn() -> N) -> Option<String> {
    let foreign = foreign::value(text, |name| names().any(|known| known == name));
    foreign.or_else(|| closest(text, names()).map(|name| format!("did you mean {name:?}?")))
}

/// The name that was probably meant: few letters differ, or two are swapped.
pub fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST_SLIP {
        return None;
    }
    let written = written.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.to_lowercase());
    let near = names
        .map(|name| (distance(name), name))
        .filter(|(d, name)| *d <= (name.len() / 3).max(1));
    near.min_by_key(|(d, _)| *d).map(|(_, name)| name)
}
