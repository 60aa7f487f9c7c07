//! Laws that hold for any template.
