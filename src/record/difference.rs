//! What differs between two texts, line by line: the lines outside their longest common subsequence.

/// The most lines that are printed.
const SHOWN: usize = 24;

/// The lines only in `old` with `- `, those only in `new` with `+ `, in order; long differences are cut.
pub(super) fn line_difference(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let common = longest_common_suffix_lengths(&a, &b);
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", a[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", b[j]));
            j += 1;
        }
    }
    if lines.len() > SHOWN {
        let hidden = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("  … and {hidden} more lines"));
    }
    lines.join("\n")
}

/// `[i][j]`: the length of the longest common subsequence of `a[i..]` and `b[j..]`.
fn longest_common_suffix_lengths(a: &[&str], b: &[&str]) -> Vec<Vec<u32>> {
    let mut length = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i][j] = if a[i] == b[j] {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_changed_and_nothing_else() {
        let old = "seed = 3\n[model]\nkind = \"gaussian\"\nhidden = [64]\n";
        let new = "seed = 3\n[model]\nkind = \"mixture\"\nhidden = [64]\nsteps = 9\n";
        let expected = "- kind = \"gaussian\"\n+ kind = \"mixture\"\n+ steps = 9";
        assert_eq!(line_difference(old, new), expected);
        assert_eq!(line_difference(old, old), "");
        assert_eq!(line_difference("", "a"), "+ a");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let new: String = (0..100).map(|i| format!("line {i}\n")).collect();
        let shown = line_difference("", &new);
        assert_eq!(shown.lines().count(), SHOWN + 1);
        assert!(shown.ends_with("… and 76 more lines"));
    }
}
