//! Night by night against one run over everything: whatever comes in between, the content is the same.

mod damage;
mod files;
mod fleet;
mod futures;
mod futures_inputs;
mod nights;
mod refusals;
mod world;
