//! Checkers that are not part of the toolchain: found on the search path, or built into `target/tools`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, on_path, run, target};

/// A program from crates.io.
pub(crate) struct Tool {
    program: &'static str,
    krate: &'static str,
    version: &'static str,
}

/// Licences, sources and security advisories of dependencies.
pub(crate) const DENY: Tool = Tool {
    program: "cargo-deny",
    krate: "cargo-deny",
    version: "0.20.2",
};
/// Fuzzing by what an input reaches in the code.
pub(crate) const FUZZ: Tool = Tool {
    program: "cargo-fuzz",
    krate: "cargo-fuzz",
    version: "0.13.2",
};
/// Dependencies that no code uses. It only searches the sources for names, which is why it is built in seconds.
pub(crate) const MACHETE: Tool = Tool {
    program: "cargo-machete",
    krate: "cargo-machete",
    version: "0.9.2",
};
/// Spelling.
pub(crate) const TYPOS: Tool = Tool {
    program: "typos",
    krate: "typos-cli",
    version: "1.52.0",
};

impl Tool {
    /// The path of the program, which is built first where it is missing. Needs the network then.
    pub(crate) fn find_or_install(&self) -> Result<PathBuf> {
        let tools = target().join("tools");
        let built = tools.join("bin").join(self.program);
        if let Some(found) = on_path(self.program).or_else(|| built.is_file().then(|| built.clone())) {
            return Ok(found);
        }
        eprintln!(
            "    {} is not installed: building it into {} (once)",
            self.program,
            tools.display()
        );
        // A lightly optimized build takes half as long, and these check a small tree.
        let mut install = cargo(["install", "--locked", "--quiet", "--profile", "dev"]);
        install
            .args([
                "--config",
                "profile.dev.debug=false",
                "--config",
                "profile.dev.opt-level=1",
                "--root",
            ])
            .arg(&tools)
            .arg(format!("{}@{}", self.krate, self.version));
        run(install).with_context(|| {
            format!(
                "install {} (it needs crates.io and a current stable toolchain; or put it on the PATH yourself)",
                self.program
            )
        })?;
        Ok(built)
    }
}
