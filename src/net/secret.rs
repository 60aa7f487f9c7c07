//! A text that is never printed.

use std::fmt;
use std::path::PathBuf;

use super::Error;

/// A text that is never printed: given, or read from a file each time it is used, so that it can be renewed.
#[derive(Clone)]
pub struct Secret(Place);

#[derive(Clone)]
enum Place {
    Given(String),
    File(PathBuf),
}

impl Secret {
    /// A secret that is known now.
    pub fn given(text: impl Into<String>) -> Self {
        Secret(Place::Given(text.into()))
    }

    /// A secret that stands in a file; white space around it is cut.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Secret(Place::File(path.into()))
    }

    pub(crate) fn reveal(&self) -> Result<String, Error> {
        match &self.0 {
            Place::Given(text) => Ok(text.clone()),
            Place::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(source) => Err(Error::UnreadableFile { path: path.clone(), source }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}
