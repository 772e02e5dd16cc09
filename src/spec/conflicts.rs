//! Keys that would be lost silently: two layers of one row set the same key, or a layer replaces the table that holds
//! it by changing its kind.
//!
//! The layers of a row are the file with its `--set` overrides, its variant, and its point of the grid. A value keeps
//! its span through merging, so a value has reached the row exactly if the row has it with its own span.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, brief};
use super::merge;
use super::shape::Shape;
use super::tree::{Leaf, Node, Span};
use super::variants::{Origin, Patch, Plan, quoted_names, set_of_axis, set_of_variant};

/// Places of a conflict that are quoted.
const QUOTED: usize = 3;

/// A later layer that sets or replaces a value.
#[derive(Clone, Debug)]
struct Winner {
    origin: Origin,
    /// Where it does so.
    span: Span,
    /// Whether it replaces a whole table by one of another kind.
    replaces: bool,
}

/// A value that later layers also set: its place, its text, and those layers.
struct Conflict {
    path: String,
    value: String,
    key_span: Span,
    /// None for an override.
    owner: Option<Origin>,
    winners: Vec<Winner>,
}

/// The conflicts of all rows, each reported once.
pub struct Conflicts<'s> {
    shape: &'s Shape<'s>,
    found: BTreeMap<Span, Conflict>,
}

impl<'s> Conflicts<'s> {
    /// No conflicts.
    pub fn new(shape: &'s Shape<'s>) -> Self {
        let found = BTreeMap::new();
        Self { shape, found }
    }

    /// Lays the patches of a plan over the file and notes every value that does not reach the result. `overridden` are
    /// the values of the file that an override has set.
    pub fn merge(&mut self, base: &Node, overridden: &[Leaf], plan: &Plan) -> Node {
        let mut tree = base.clone();
        for patch in &plan.patches {
            merge::apply(&mut tree, &patch.node, Some(self.shape));
        }
        for leaf in overridden {
            self.look_at(leaf, None, &tree, base, &plan.patches);
        }
        if plan.patches.len() > 1 {
            let mut below = base.clone();
            for (index, patch) in plan.patches.iter().enumerate() {
                merge::apply(&mut below, &patch.node, Some(self.shape));
                for leaf in patch.node.paths() {
                    self.look_at(&leaf, Some(&patch.origin), &tree, &below, &plan.patches[index + 1..]);
                }
            }
        }
        tree
    }

    /// Notes a value that is not in the finished tree; `below` is the tree that the `later` patches are laid over.
    fn look_at(&mut self, leaf: &Leaf, owner: Option<&Origin>, finished: &Node, below: &Node, later: &[Patch]) {
        let survives = |tree: &Node| tree.at(&leaf.path).is_some_and(|node| node.span == leaf.node.span);
        if survives(finished) {
            return;
        }
        let mut tree = below.clone();
        for patch in later {
            merge::apply(&mut tree, &patch.node, Some(self.shape));
            if survives(&tree) {
                continue;
            }
            let (span, replaces) = place(&patch.node, &leaf.path);
            let conflict = self.found.entry(leaf.node.span).or_insert_with(|| Conflict {
                path: leaf.path.join("."),
                value: brief(&leaf.node.inline()),
                key_span: leaf.key_span,
                owner: owner.cloned(),
                winners: Vec::new(),
            });
            if !conflict.winners.iter().any(|winner| winner.origin == patch.origin) {
                let origin = patch.origin.clone();
                conflict.winners.push(Winner { origin, span, replaces });
            }
            return;
        }
    }

    /// The faults, in the order of their places; where one layer takes several keys from another, the first stands for
    /// all.
    pub fn faults(self) -> impl Iterator<Item = Diagnostic> {
        let mut known: Vec<(Origin, Vec<Origin>)> = Vec::new();
        let mut conflicts: Vec<Conflict> = self.found.into_values().collect();
        conflicts.retain(|conflict| {
            let Some(owner) = conflict.owner.clone() else {
                return true;
            };
            let winners = conflict.winners.iter().map(|winner| winner.origin.clone()).collect();
            let pair = (owner, winners);
            let first = !known.contains(&pair);
            if first {
                known.push(pair);
            }
            first
        });
        conflicts.into_iter().map(Conflict::fault)
    }
}

/// Where a patch sets a path or replaces a table around it, and whether it is the latter.
fn place(patch: &Node, path: &[String]) -> (Span, bool) {
    let (mut node, mut span) = (patch, patch.span);
    for key in path {
        let Some(entry) = node.entry(key) else {
            // The patch's first key there: the tag that gave the table another kind.
            let other = node.entries().and_then(<[_]>::first);
            return (other.map_or(span, |entry| entry.key_span), true);
        };
        (node, span) = (&entry.node, entry.key_span);
    }
    (span, false)
}

impl Conflict {
    fn fault(mut self) -> Diagnostic {
        // Layers that set the key come before those that replace its table: the help names the first.
        self.winners.sort_by_key(|winner| winner.replaces);
        let names = |wanted: bool| {
            let winners = self
                .winners
                .iter()
                .filter(move |winner| matches!(winner.origin, Origin::Variant(_)) == wanted);
            winners.map(|winner| match &winner.origin {
                Origin::Variant(name) | Origin::Axis(name) => name.as_str(),
            })
        };
        let key = brief(&self.path);
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let who: Vec<String> = [(true, "the variant"), (false, "the grid's axis")]
            .into_iter()
            .filter(|(variants, _)| names(*variants).next().is_some())
            .map(|(variants, words)| {
                let words = match (variants, names(variants).count()) {
                    (false, count) if count > 1 => "the grid's axes".to_owned(),
                    (false, _) => words.to_owned(),
                    (true, count) => format!("{words}{}", plural(count)),
                };
                format!("{words} {}", quoted_names(names(variants)))
            })
            .collect();
        let who = who.join(" and by ");
        let replaces = |winner: &Winner| winner.replaces;
        let does = match (self.winners.iter().all(replaces), self.winners.iter().any(replaces)) {
            (true, _) => "is lost: its table is replaced by",
            (_, true) => "is also set, or its table replaced, by",
            _ => "is also set by",
        };
        let (message, expected, note) = match &self.owner {
            None => (
                format!("`{key}` {does} {who}"),
                "expected a key that no variant and no axis of the grid sets",
                "`--set` changes the file below its variants and its grid: their own values stand",
            ),
            Some(Origin::Variant(name)) => (
                format!("`{key}` of the variant {:?} {does} {who}", brief(name)),
                "expected a key that the grid leaves alone",
                "the grid is laid over every variant, so the row would not be what its name says",
            ),
            Some(Origin::Axis(_)) => (
                format!("the grid's axis `{key}` {does} {who}"),
                "expected a key that no later axis sets",
                "axes are laid over each other in their order, so the row would not be what its name says",
            ),
        };
        let mut fault = Diagnostic::error(message).at(self.key_span, expected);
        for winner in self.winners.iter().take(QUOTED) {
            fault = fault.also(winner.span, if winner.replaces { "replaced here" } else { "set here" });
        }
        fault.note = Some(note.to_owned());
        let sets = self.winners.first().is_some_and(|winner| !winner.replaces);
        let first = |wanted| names(wanted).next().filter(|_| sets);
        fault.help(match (&self.owner, first(true), first(false)) {
            (None, Some(name), _) => {
                format!(
                    "to change one variant: {}",
                    set_of_variant(&brief_name(name), &self.path, &self.value)
                )
            }
            (None, None, Some(axis)) if axis == self.path => {
                format!("to change the axis: {}", set_of_axis(axis, &self.value))
            }
            (None, ..) => "edit the file: a table of another kind has its own keys".to_owned(),
            (Some(Origin::Variant(_)), ..) => "remove the axis, or the key of the variant".to_owned(),
            (Some(Origin::Axis(_)), ..) => "remove one of the axes, or put the axis of the kind first".to_owned(),
        })
    }
}

/// A name short enough for a command line; a longer one is to be filled in.
fn brief_name(name: &str) -> String {
    if name == brief(name) {
        name.to_owned()
    } else {
        "NAME".to_owned()
    }
}
