//! What differs between two specifications, key by key.

use toml::{Table, Value};

/// The most differences that are listed.
const SHOWN: usize = 8;

/// The keys whose values differ, as `training.steps: 3 in the record, 4 now`. Both texts are TOML; where one of them is
/// not, that is the difference.
pub fn setting_differences(recorded: &str, wanted: &str) -> Vec<String> {
    let (Ok(recorded), Ok(wanted)) = (recorded.parse::<Table>(), wanted.parse::<Table>()) else {
        return vec!["the settings in the record cannot be read".to_owned()];
    };
    let (old, new) = (leaves(&recorded), leaves(&wanted));
    let find = |list: &[(String, String)], key: &str| {
        let found = list.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    };
    let mut lines = Vec::new();
    for (key, now) in &new {
        match find(&old, key) {
            Some(then) if then == *now => {}
            Some(then) => lines.push(format!("{key}: {then} in the record, {now} now")),
            None => lines.push(format!("{key}: not in the record, {now} now")),
        }
    }
    let gone = old.iter().filter(|(key, _)| find(&new, key).is_none());
    lines.extend(gone.map(|(key, then)| format!("{key}: {then} in the record, not set now")));
    if lines.len() > SHOWN {
        let hidden = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("and {hidden} more keys"));
    }
    lines
}

/// Every value that is not a table, by its dotted key.
fn leaves(table: &Table) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                let below = leaves(inner).into_iter();
                found.extend(below.map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            leaf => found.push((key.clone(), leaf.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_key_that_differs_and_no_other() {
        let old = "seed = 3\n[model]\nkind = \"gaussian\"\nhidden = [64]\nfloor = 0.1\n";
        let new = "seed = 3\n[model]\nkind = \"mixture\"\nhidden = [64]\n[training]\nsteps = 9\n";
        let expected = [
            "model.kind: \"gaussian\" in the record, \"mixture\" now",
            "training.steps: not in the record, 9 now",
            "model.floor: 0.1 in the record, not set now",
        ];
        assert_eq!(setting_differences(old, new), expected);
        assert_eq!(setting_differences(old, old), [""; 0]);
        // The order of keys does not matter.
        assert_eq!(setting_differences("a = 1\nb = 2", "b = 2\na = 1"), [""; 0]);
        assert_eq!(setting_differences("{", "a = 1").len(), 1);
    }

    #[test]
    fn a_long_list_is_cut() {
        let new: String = (0..100).map(|i| format!("key_{i} = 1\n")).collect();
        let shown = setting_differences("", &new);
        assert_eq!((shown.len(), shown[SHOWN].as_str()), (SHOWN + 1, "and 92 more keys"));
    }
}
