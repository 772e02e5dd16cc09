//! Which vector instructions the kernels use: the widest that the machine has, found at run time.

use pulp::Arch;

/// The instruction set of this thread's kernels.
#[inline(always)]
pub fn arch() -> Arch {
    #[cfg(test)]
    if let Some(forced) = tests::FORCED.get() {
        return forced;
    }
    Arch::new()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        pub(super) static FORCED: Cell<Option<Arch>> = const { Cell::new(None) };
    }

    /// The result of `body` on every instruction set of this machine, the baseline first.
    pub(crate) fn on_every_set<R>(body: impl Fn() -> R) -> Vec<(&'static str, R)> {
        let mut sets = vec![("baseline", Arch::Scalar)];
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        sets.extend(pulp::x86::V3::try_new().map(|set| ("AVX2", Arch::V3(set))));
        sets.push(("widest", Arch::new()));
        let run = |(name, set)| {
            FORCED.set(Some(set));
            (name, body())
        };
        let results = sets.into_iter().map(run).collect();
        FORCED.set(None);
        results
    }

    #[test]
    fn the_forced_set_is_used_and_forgotten() {
        let sets = on_every_set(|| format!("{:?}", arch()));
        assert_eq!(sets[0].1, format!("{:?}", Arch::Scalar));
        assert_eq!(format!("{:?}", arch()), format!("{:?}", Arch::new()));
    }
}
