//! The backward pass of a loss.
//!
//! candle allocates, clears and adds once for every gradient that an operation returns. An operation with many
//! parameters of its own therefore passes their gradients to the enclosing pass: [`backward()`] opens a list on this
//! thread, runs candle's backward pass, and adds the listed gradients to candle's.

use crate::Result;
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use std::cell::RefCell;

thread_local! {
    /// Parameters and their gradients, while a backward pass runs on this thread.
    static HANDED_OVER: RefCell<Option<Vec<(Tensor, Tensor)>>> = const { RefCell::new(None) };
}

/// The gradients of the scalar `loss` with respect to every variable behind it.
///
/// Tensors that depend on a [`super::Perceptron`] or a [`super::GatedRecurrent`] need this in place of candle's method of the same name.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    struct Restore(Option<Vec<(Tensor, Tensor)>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HANDED_OVER.set(self.0.take());
        }
    }
    let _restore = Restore(HANDED_OVER.replace(Some(Vec::new())));
    let mut gradients = loss.backward()?;
    for (parameter, gradient) in HANDED_OVER.take().unwrap_or_default() {
        let sum = match gradients.get(&parameter) {
            Some(other) => (other + gradient)?,
            None => gradient,
        };
        gradients.insert(&parameter, sum);
    }
    Ok(gradients)
}

/// Adds `gradients` of variables to those of the pass that runs on this thread; an error if none does.
pub(crate) fn hand_over(gradients: Vec<(Tensor, Tensor)>) -> candle_core::Result<()> {
    HANDED_OVER.with_borrow_mut(|all| match all {
        Some(all) => {
            all.extend(gradients);
            Ok(())
        }
        None => candle_core::bail!(
            "the gradients of a network's parameters would be lost; call nn::backward(&loss), not loss.backward()"
        ),
    })
}
