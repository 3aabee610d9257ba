//! Starts the programs under measurement and reads their memory from `/proc`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// One running program; it is killed when dropped.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    child: Child,
}

impl Program {
    /// Starts `name` of `directory`, its output in `log`.
    pub(crate) fn start(directory: &Path, name: &'static str, args: &[String], log: &Path) -> Result<Self> {
        let program = directory.join(name);
        let out = fs_err::File::create(log)?;
        let errors = out.try_clone()?;
        let child = Command::new(&program)
            .args(args)
            .env("RUNTIME_NAMESPACE", "flux-system")
            .stdin(Stdio::null())
            .stdout(Stdio::from(out.into_parts().0))
            .stderr(Stdio::from(errors.into_parts().0))
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}; build it with `make build`", program.display()))?;
        Ok(Self { name, child })
    }

    /// Resident set size in MiB.
    pub(crate) fn rss_mib(&mut self) -> Result<f64> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}", self.name);
        }
        let pid = self.child.id().context("no process id")?;
        let status = fs_err::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
            .context("no VmRSS in /proc status")?;
        Ok(kib / 1024.0)
    }
}

/// The directory of the running program: the others are built beside it.
pub(crate) fn beside_this_one() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("a program has a directory")?.to_owned())
}
