//! The program `notification-controller`.

use std::process::ExitCode;

use ferrite_notification_controller::args::{Args, FEATURE_GATES};
use ferrite_runtime::process;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NAME: &str = "notification-controller";

fn main() -> ExitCode {
    process::main_with_standby(
        NAME,
        NAME,
        FEATURE_GATES,
        async |args: &Args, process| {
            ferrite_notification_controller::serve(&process.runtime, &args.config(process)?).await?;
            Ok(())
        },
        |args: Args, process| async move {
            ferrite_notification_controller::reconcile(&process.runtime, &args.config(&process)?).await;
            Ok(())
        },
    )
}
