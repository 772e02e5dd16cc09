//! Keys that had another name in earlier versions: an experiment file that uses one is told the new name and the line to
//! write, and the settings in an older record are read by their new names.

use toml::{Table, Value};

/// A key that was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Renamed {
    /// The table that it belongs to.
    pub table: &'static str,
    /// Its old name.
    pub old: &'static str,
    /// Its new name in the same table; with a dot where it moved into a table of its own.
    pub new: &'static str,
}

const fn renamed(table: &'static str, old: &'static str, new: &'static str) -> Renamed {
    Renamed { table, old, new }
}

const RENAMED: [Renamed; 5] = [
    renamed("evaluation", "environment", "rollout.environment"),
    renamed("evaluation", "rollouts", "rollout.episodes"),
    renamed("evaluation", "action", "rollout.action"),
    renamed("evaluation", "latent", "rollout.latent"),
    renamed("model", "first_values", "initial_values"),
];

impl Renamed {
    /// The first part of the new name.
    pub fn first_key(self) -> &'static str {
        self.new.split('.').next().unwrap_or(self.new)
    }

    /// Which line to write for `value`.
    pub fn help(self, value: &str) -> String {
        let Self { table, new, .. } = self;
        format!("write `{new} = {value}` in [{table}], or `{table}.{new} = {value}` in a variant and in --set")
    }
}

/// What the key `old` of `table` is called now, if it was renamed.
pub(super) fn find(table: &str, old: &str) -> Option<Renamed> {
    let mut known = RENAMED.into_iter();
    known.find(|renamed| renamed.table == table && renamed.old == old)
}

/// The resolved settings of an older record by today's names; none if no name has changed.
pub fn with_new_names(settings: &Table) -> Option<Table> {
    let mut new = settings.clone();
    let mut has_changed = false;
    for renamed in RENAMED {
        let Some(table) = new.get_mut(renamed.table).and_then(Value::as_table_mut) else {
            continue;
        };
        if let Some(value) = table.remove(renamed.old) {
            insert(table, renamed.new, value);
            has_changed = true;
        }
    }
    // Older settings name how to act even where there are no roll-outs.
    if let Some(evaluation) = new.get_mut("evaluation").and_then(Value::as_table_mut) {
        let has_rollouts = |rollout: &Value| rollout.get("environment").is_some();
        if !evaluation.get("rollout").is_none_or(has_rollouts) {
            evaluation.remove("rollout");
        }
    }
    has_changed.then_some(new)
}

/// Inserts `value` at a dotted path.
fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first.to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_settings_have_new_names() {
        let read = |text: &str| text.parse::<Table>().unwrap();
        let old = "[model]\nkind = 'm'\nfirst_values = 'random'\n[evaluation]\nmetrics = ['a']\nenvironment = 'tree'\n\
                   rollouts = 9\naction = 'mean'\nlatent = 'per_step'\nhorizon = 3\n";
        let new = "[model]\nkind = 'm'\ninitial_values = 'random'\n[evaluation]\nmetrics = ['a']\nhorizon = 3\n\
                   [evaluation.rollout]\nenvironment = 'tree'\nepisodes = 9\naction = 'mean'\nlatent = 'per_step'\n";
        assert_eq!(with_new_names(&read(old)), Some(read(new)));
        assert_eq!(with_new_names(&read(new)), None);
        // Without an environment nothing was rolled out.
        let old = read("[evaluation]\nrollouts = 200\naction = 'sample'\nlatent = 'per_step'\nhorizon = 3\n");
        assert_eq!(with_new_names(&old), Some(read("[evaluation]\nhorizon = 3\n")));
    }
}
