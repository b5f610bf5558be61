//! What is wrong with a file or a set of parameters: a list of places and what was expected there.

use std::fmt;

/// At most this many findings are listed; the rest are counted.
pub const LISTED_FINDINGS: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a path such as `providers[3].offers.turning.cost`.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    listed: Vec<Finding>,
    unlisted: usize,
}

impl Findings {
    /// Adds `path: got <got>, expected <expected>`.
    pub fn add(&mut self, path: impl fmt::Display, got: impl fmt::Display, expected: impl fmt::Display) {
        self.say(path, format_args!("got {got}, expected {expected}"));
    }

    /// Adds `path: message`.
    pub fn say(&mut self, path: impl fmt::Display, message: impl fmt::Display) {
        if self.listed.len() < LISTED_FINDINGS {
            self.listed.push(Finding { path: path.to_string(), message: message.to_string() });
        } else {
            self.unlisted += 1;
        }
    }

    /// The findings that are listed, at most [`LISTED_FINDINGS`].
    pub fn listed(&self) -> &[Finding] {
        &self.listed
    }

    /// The number of findings, listed or not.
    pub const fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Nothing is wrong.
    pub const fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// `Err` with the findings if there are any.
    ///
    /// # Errors
    /// The findings themselves.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.listed.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more", self.unlisted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_cap_are_only_counted() {
        let mut findings = Findings::default();
        for minutes in 0..23 {
            findings.add(format_args!("demands[{minutes}]"), minutes, "more");
        }
        assert_eq!(findings.count(), 23);
        let text = findings.to_string();
        assert!(text.starts_with("demands[0]: got 0, expected more\ndemands[1]: "), "{text}");
        assert!(text.ends_with("demands[19]: got 19, expected more\nand 3 more"), "{text}");
    }

    #[test]
    fn no_findings_are_no_error() {
        assert_eq!(Findings::default().into_result(), Ok(()));
    }
}
