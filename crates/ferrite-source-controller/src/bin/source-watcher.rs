//! The source-watcher process.

use std::process::ExitCode;

use ferrite_runtime::process::{self, Process};
use ferrite_source_controller::watcher::{Args, FEATURE_GATES, NAME, run};

fn main() -> ExitCode {
    process::main(NAME, NAME, FEATURE_GATES, |args: Args, process| async move {
        let Process { runtime, gates: _, environment, namespace: _ } = process;
        run(runtime, args.into_config(&environment)).await.map_err(Into::into)
    })
}
