//! The helm-controller process.

use std::process::ExitCode;

use ferrite_helm_controller::{Args, FEATURE_GATES, NAME, STATUS_MANAGER, run};
use ferrite_runtime::process::{self, Process};

fn main() -> ExitCode {
    process::main(NAME, STATUS_MANAGER, FEATURE_GATES, |args: Args, process| async move {
        let Process { runtime, gates, environment, namespace: _ } = process;
        run(runtime, args.into_config(&gates, &environment)).await.map_err(Into::into)
    })
}
