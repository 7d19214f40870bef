//! The native class, divided as the package divides its face: `native` holds it and what its methods share, `open` makes
//! one, and each other file adds the methods of one class or object.

mod audit;
mod aws;
mod cache;
mod compliance;
mod diagnosis;
mod events;
mod metrics;
mod migration;
mod native;
mod open;
mod reads;
mod redactor;
mod rotation;
mod scanning;
mod sources;
mod store;
mod validation;
