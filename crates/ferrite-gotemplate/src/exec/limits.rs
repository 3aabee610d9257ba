//! Bounds of a render, so that a hostile template ends soon and with a message.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use crate::error::Error;

/// What one render may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Evaluated nodes, loop rounds and function calls; larger work counts several times.
    pub steps: u64,
    /// Bytes written by all templates together, included text counted each time.
    pub output: u64,
    /// Nested template calls.
    pub depth: usize,
    /// Native stack in bytes, below what the thread has.
    pub stack: usize,
    /// Wall time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 20_000_000,
            output: 256 << 20,
            depth: 100_000,
            stack: 1 << 20,
            time: Duration::from_secs(30),
        }
    }
}

/// Counts what a render has used.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    started: Instant,
    base: usize,
    steps: Cell<u64>,
    output: Cell<u64>,
}

/// Steps between two looks at the clock.
const CLOCK: u64 = 4096;

fn stack_pointer() -> usize {
    let here = 0u8;
    std::ptr::from_ref(&here).addr()
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            started: Instant::now(),
            base: stack_pointer(),
            steps: Cell::new(0),
            output: Cell::new(0),
        }
    }

    pub(crate) fn max_depth(&self) -> usize {
        self.limits.depth
    }

    pub(crate) fn step(&self) -> Result<(), Error> {
        self.spend(1)
    }

    pub(crate) fn spend(&self, amount: usize) -> Result<(), Error> {
        let before = self.steps.get();
        let after = before + amount as u64;
        self.steps.set(after);
        if after > self.limits.steps {
            return Err(Error::limit(format!(
                "template used more than {} steps: loop or call less",
                self.limits.steps
            )));
        }
        if before / CLOCK != after / CLOCK && self.started.elapsed() > self.limits.time {
            return Err(Error::limit(format!(
                "template ran longer than {} s",
                self.limits.time.as_secs_f32()
            )));
        }
        Ok(())
    }

    pub(crate) fn output(&self, bytes: usize) -> Result<(), Error> {
        let total = self.output.get() + bytes as u64;
        self.output.set(total);
        if total > self.limits.output {
            return Err(Error::limit(format!("template wrote more than {} bytes", self.limits.output)));
        }
        Ok(())
    }

    pub(crate) fn stack_low(&self) -> bool {
        self.base.abs_diff(stack_pointer()) > self.limits.stack
    }

    pub(crate) fn enter(&self) -> Result<(), Error> {
        if self.stack_low() {
            return Err(Error::limit("templates are nested too deeply"));
        }
        self.step()
    }
}
