// SPDX-License-Identifier: BSD-2-Clause
//! The kernel's configuration, and the conditions on it that the interface descriptions contain.

use std::collections::BTreeMap;

/// What `autoconf.h` defines.
pub(crate) struct Configuration(BTreeMap<String, String>);

impl Configuration {
    /// Takes the `#define NAME VALUE` lines; everything else is comment.
    pub(crate) fn parse(header: &str) -> Self {
        let defines = header.lines().filter_map(|line| {
            let mut words = line.strip_prefix("#define ")?.split_whitespace();
            Some((words.next()?.to_owned(), words.next().unwrap_or("1").to_owned()))
        });
        Self(defines.collect())
    }

    pub(crate) fn is_defined(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of an option that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64, String> {
        let value = self.0.get(name).ok_or_else(|| format!("the kernel's configuration has no {name}"))?;
        value.parse().map_err(|_| format!("{name} is not a number: {value}"))
    }

    /// Whether a `condition` attribute holds. The forms that occur: nothing, `defined(X)`, `defined X`,
    /// and `X > N`. Any other is an error: guessing would shift every number behind it.
    pub(crate) fn holds(&self, condition: &str) -> Result<bool, String> {
        let condition = condition.trim();
        if condition.is_empty() {
            return Ok(true);
        }
        if let Some(rest) = condition.strip_prefix("defined") {
            let rest = rest.trim();
            let name = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest).trim();
            if is_name(name) {
                return Ok(self.is_defined(name));
            }
        } else if let Some((name, bound)) = condition.split_once('>')
            && is_name(name.trim())
            && let Ok(bound) = bound.trim().parse::<u64>()
        {
            return Ok(self.number(name.trim())? > bound);
        }
        Err(format!("a condition of a form that is not understood: {condition}"))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        Configuration::parse(
            "/* x */\n#define CONFIG_IOMMU 1\n#define CONFIG_MAX_NUM_NODES 4\n#define FLAG\n",
        )
    }

    #[test]
    fn every_form_of_condition_is_evaluated() {
        let configuration = configuration();
        for (condition, expected) in [
            ("", true),
            ("defined(CONFIG_IOMMU)", true),
            ("defined CONFIG_IOMMU", true),
            ("defined FLAG", true),
            ("defined(CONFIG_VTX)", false),
            ("CONFIG_MAX_NUM_NODES > 1", true),
            ("CONFIG_MAX_NUM_NODES > 4", false),
        ] {
            assert_eq!(configuration.holds(condition), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn a_condition_that_is_not_understood_is_an_error() {
        for condition in ["defined(A) || defined(B)", "CONFIG_MAX_NUM_NODES < 2", "defined", "ABSENT > 1"] {
            assert!(configuration().holds(condition).is_err(), "{condition}");
        }
    }
}
