// SPDX-License-Identifier: BSD-2-Clause
//! What is wrong with a system description, and where.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place in the system description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1.
    pub column: u32,
    /// Name of the element.
    pub element: String,
}

impl Place {
    /// The description as a whole.
    pub(crate) fn whole() -> Self {
        Self { line: 1, column: 1, element: "system".into() }
    }
}

/// Something wrong, or worth a warning, in a system description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The system description.
    pub file: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What was expected and what is there.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, element } = &self.place;
        write!(f, "{}:{line}:{column}: <{element}>: {}", self.file.display(), self.message)
    }
}

/// Collects diagnostics of one stage, so that a user sees all mistakes at once.
#[derive(Debug)]
pub(crate) struct Sink<'f> {
    file: &'f Path,
    errors: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl<'f> Sink<'f> {
    pub(crate) fn new(file: &'f Path) -> Self {
        Self { file, errors: RefCell::default(), warnings: RefCell::default() }
    }

    fn diagnostic(&self, place: &Place, message: String) -> Diagnostic {
        Diagnostic { file: self.file.to_owned(), place: place.clone(), message }
    }

    /// Notes an error.
    pub(crate) fn error(&self, place: &Place, message: impl Into<String>) {
        let diagnostic = self.diagnostic(place, message.into());
        self.errors.borrow_mut().push(diagnostic);
    }

    /// Notes something that may be a mistake.
    pub(crate) fn warn(&self, place: &Place, message: impl Into<String>) {
        let diagnostic = self.diagnostic(place, message.into());
        self.warnings.borrow_mut().push(diagnostic);
    }

    /// Ends a stage: its errors in the order of the file, if there are any.
    pub(crate) fn finish_stage(&self) -> Result<(), Vec<Diagnostic>> {
        let mut errors = self.errors.take();
        errors.sort_by_key(|error| (error.place.line, error.place.column));
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The warnings of all stages.
    pub(crate) fn into_warnings(self) -> Vec<Diagnostic> {
        self.warnings.into_inner()
    }
}
