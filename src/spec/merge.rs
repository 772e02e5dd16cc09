//! Patches: how a variant, a grid point or an override changes the file it is laid over.
//!
//! A patch changes single keys. One that gives a tag (`kind`, `source`, `optimizer`) another value replaces the whole
//! table, since the keys of the old kind mean nothing to the new one. Every piece keeps its span.

use super::shape::Shape;
use super::tree::{Entry, Node, Span, Value};

/// Lays a patch over a tree; `shape` says which keys are tags, and is `None` below unknown keys.
pub fn apply(base: &mut Node, patch: &Node, shape: Option<&Shape>) {
    let replaces = shape.is_some_and(|shape| changes_tag(base, patch, shape));
    match (&mut base.value, &patch.value) {
        (Value::Table(entries), Value::Table(changes)) if !replaces => {
            for change in changes {
                apply_entry(entries, change, shape);
            }
        }
        _ => *base = patch.clone(),
    }
}

fn apply_entry(entries: &mut Vec<Entry>, change: &Entry, shape: Option<&Shape>) {
    match entries.iter_mut().find(|entry| entry.key == change.key) {
        Some(entry) => {
            let inner = shape.and_then(|shape| shape.property(&change.key));
            apply(&mut entry.node, &change.node, inner.as_ref());
            entry.key_span = change.key_span;
        }
        None => entries.push(change.clone()),
    }
}

fn changes_tag(base: &Node, patch: &Node, shape: &Shape) -> bool {
    shape.tags().any(|tagged| {
        let value = |node: &Node| node.get(tagged.tag).and_then(Node::as_str).map(str::to_owned);
        matches!((value(base), value(patch)), (Some(old), Some(new)) if old != new)
    })
}

/// The tree in which only the dotted path is set: `a.b` and 1 make `{ a = { b = 1 } }`.
pub fn nested(path: &[&str], key_span: Span, leaf: Node) -> Node {
    path.iter().rev().fold(leaf, |node, key| Node {
        span: key_span,
        value: Value::Table(vec![Entry {
            key: (*key).to_owned(),
            key_span,
            node,
        }]),
    })
}
