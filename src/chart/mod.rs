//! Under construction: see the module list in lib.rs.

pub mod set;
