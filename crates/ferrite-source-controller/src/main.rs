//! The source-controller process.

use std::process::ExitCode;

use ferrite_runtime::process::{self, Process};
use ferrite_source_controller::{Args, FEATURE_GATES, NAME, run};

fn main() -> ExitCode {
    process::main(NAME, NAME, FEATURE_GATES, |args: Args, process| async move {
        let Process { runtime, gates, environment, namespace: _ } = process;
        run(runtime, args.into_config(&environment, &gates)).await.map_err(Into::into)
    })
}
