//! The theory as tests, through the public interface: identities of the expected log-likelihood, EM against oracles,
//! continuous latents and their posteriors, state spaces, composed operations. One program, so that it is linked once.

mod composed;
mod continuous;
mod em_old_faithful;
mod em_oracle;
mod em_sklearn;
mod identities;
mod sequences;
mod starts;
