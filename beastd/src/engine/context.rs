//! llama.cpp's context, with functions that the wrapper lacks: interrupting a step, changing the number of threads,
//! waiting only once for the logits of many rows. Keeps the helpers that compute for it (`kernels`).
//!
//! On a CPU, llama.cpp calls `abort_callback` after each operation, and `llama_set_n_threads` works at any time. The
//! wrapper exposes neither and keeps its context private. So the linker redirects its call that creates a context to
//! `__wrap_…` here (`build.rs`), which installs the callback and records the address. Can go once the wrapper has both.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::{DecodeError, LlamaContextLoadError};

use super::found::Found;
use super::kernels::Helpers;
#[cfg(target_os = "linux")]
use super::likeliest::Finder;
use super::model::LoadedModel;
use super::model::backend;

/// The wrapper's context, extended.
pub(super) struct Context<'model> {
    /// This thread's helpers since the last step. They may read weights; while they are kept here, `'model` keeps those
    /// alive.
    helpers: Helpers,
    /// Has memory of the context's device, so it is dropped first.
    #[cfg(target_os = "linux")]
    finder: Finder,
    inner: LlamaContext<'model>,
    model: &'model LoadedModel,
    #[cfg(target_os = "linux")]
    address: Option<std::ptr::NonNull<llama_cpp_sys_2::llama_context>>,
}

impl<'model> Context<'model> {
    /// Creates a context.
    ///
    /// # Errors
    /// When llama.cpp fails to.
    pub(super) fn new(model: &'model LoadedModel, params: LlamaContextParams) -> Result<Self, LlamaContextLoadError> {
        let inner = model.model.new_context(backend(), params)?;
        Ok(Self {
            helpers: Helpers::of_nobody(),
            #[cfg(target_os = "linux")]
            finder: Finder::default(),
            inner,
            model,
            #[cfg(target_os = "linux")]
            address: hook::take_address(),
        })
    }

    /// Computes a batch. Hides the wrapper's function of this name, which knows nothing of helpers.
    ///
    /// # Errors
    /// llama.cpp's own.
    pub(super) fn decode(&mut self, batch: &mut LlamaBatch<'_>) -> Result<(), DecodeError> {
        self.helpers.join();
        self.model.during(|| self.inner.decode(batch))
    }

    /// Computes a batch whose tokens all have logits and belong to rows of the same length, in the order of their
    /// sequences. A GPU then finds the likeliest tokens itself, if it can.
    ///
    /// # Errors
    /// llama.cpp's own.
    pub(super) fn decode_for_likeliest(&mut self, batch: &mut LlamaBatch<'_>) -> Result<(), DecodeError> {
        #[cfg(target_os = "linux")]
        {
            let n_rows = usize::try_from(batch.n_tokens()).unwrap_or(0);
            self.helpers.join();
            let outcome = self.finder.during(n_rows, || self.inner.decode(batch));
            if outcome.is_err() {
                // The search of a pass before the one that failed may still be writing.
                self.inner.synchronize();
            }
            outcome
        }
        #[cfg(not(target_os = "linux"))]
        self.decode(batch)
    }

    /// What `decode_for_likeliest` left. Waits for a GPU.
    pub(super) fn found(&mut self) -> Found {
        #[cfg(target_os = "linux")]
        {
            self.inner.synchronize();
            self.finder.found()
        }
        #[cfg(not(target_os = "linux"))]
        Found::Logits
    }

    /// The rows of logits of the last batch from one token of it to another, both of which have one. Waits for a GPU;
    /// `get_logits_ith` would for each row, which takes microseconds even when there is nothing to wait for.
    ///
    /// # Panics
    /// When there are no such rows.
    pub(super) fn logits(&self, first: i32, last: i32) -> Vec<&[f32]> {
        let (first, last) = (self.inner.get_logits_ith(first), self.inner.get_logits_ith(last));
        let n_bytes = last.as_ptr_range().end.addr().checked_sub(first.as_ptr().addr()).expect("rows are in order");
        // SAFETY: the rows of a batch are in one buffer, one after the other in the order of their tokens, so between
        // the beginning of one and the end of another are rows only. Nothing computes while `self` is borrowed.
        let rows = unsafe { std::slice::from_raw_parts(first.as_ptr(), n_bytes / size_of::<f32>()) };
        rows.chunks_exact(first.len()).collect()
    }

    /// How many times llama.cpp has reused a graph instead of building one since the context was created; 0 if unknown.
    pub(super) fn n_graphs_kept(&self) -> u32 {
        #[cfg(target_os = "linux")]
        if let Some(address) = self.address {
            // SAFETY: the address is that of the context in `inner`, which is alive; llama.cpp copies a few numbers.
            let timings = unsafe { llama_cpp_sys_2::llama_perf_context(address.as_ptr()) };
            return u32::try_from(timings.n_reused).unwrap_or(0);
        }
        0
    }

    /// Sets the number of this thread's helpers, for all contexts that compute on it.
    pub(super) fn set_helpers(&mut self, n: usize) {
        self.helpers = Helpers::of_this_thread(n);
    }

    /// Sets the number of threads from the next step on. False if that is impossible.
    pub(super) fn set_threads(&mut self, n_threads: usize) -> bool {
        #[cfg(target_os = "linux")]
        if let (Some(address), Ok(n_threads)) = (self.address, i32::try_from(n_threads)) {
            // SAFETY: the address is that of the context in `inner`, which is alive, and nothing computes: `self` is
            // borrowed exclusively.
            unsafe { llama_cpp_sys_2::llama_set_n_threads(address.as_ptr(), n_threads, n_threads) };
            return true;
        }
        let _ = n_threads;
        false
    }
}

impl<'model> Deref for Context<'model> {
    type Target = LlamaContext<'model>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Context<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

#[cfg(target_os = "linux")]
pub(super) use hook::unless;

/// Whether steps can be interrupted on this system.
pub(super) const IS_POSSIBLE: bool = cfg!(target_os = "linux");

/// Computes; no interruption on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn unless<T>(_is_interrupted: super::traits::IsInterrupted, compute: impl FnOnce() -> T) -> T {
    compute()
}

#[cfg(target_os = "linux")]
mod hook {
    use std::cell::{Cell, RefCell};
    use std::ffi::c_void;
    use std::ptr::NonNull;

    use llama_cpp_sys_2 as sys;
    use tracing::Dispatch;
    use tracing::dispatcher::{DefaultGuard, set_default};

    use super::super::traits::IsInterrupted;

    /// State of the step on this thread.
    struct Question {
        is_interrupted: IsInterrupted,
        /// llama.cpp logs an interrupted step as a failure, in three lines that would only alarm.
        silence: Option<DefaultGuard>,
    }

    thread_local! {
        /// llama.cpp calls back on the calling thread, so engines on several threads do not interfere.
        static QUESTION: RefCell<Option<Question>> = const { RefCell::new(None) };
        /// The address of the last context created on this thread.
        static ADDRESS: Cell<Option<NonNull<sys::llama_context>>> = const { Cell::new(None) };
    }

    pub(super) fn take_address() -> Option<NonNull<sys::llama_context>> {
        ADDRESS.take()
    }

    /// Computes; llama.cpp stops when `is_interrupted`.
    pub fn unless<T>(is_interrupted: IsInterrupted, compute: impl FnOnce() -> T) -> T {
        QUESTION.set(Some(Question { is_interrupted, silence: None }));
        let outcome = compute();
        QUESTION.set(None);
        outcome
    }

    unsafe extern "C" {
        fn __real_llama_new_context_with_model(
            model: *mut sys::llama_model,
            params: sys::llama_context_params,
        ) -> *mut sys::llama_context;
    }

    /// Called by the wrapper in place of llama.cpp's function.
    ///
    /// # Safety
    /// The same as for llama.cpp's `llama_new_context_with_model`.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_llama_new_context_with_model(
        model: *mut sys::llama_model,
        params: sys::llama_context_params,
    ) -> *mut sys::llama_context {
        let params = sys::llama_context_params { abort_callback: Some(is_interrupted), ..params };
        // SAFETY: the arguments are the caller's, and the callback does not read its argument.
        let context = unsafe { __real_llama_new_context_with_model(model, params) };
        ADDRESS.set(NonNull::new(context));
        context
    }

    /// Called by llama.cpp after each operation of a graph.
    unsafe extern "C" fn is_interrupted(_: *mut c_void) -> bool {
        QUESTION.with_borrow_mut(|question| {
            let Some(question) = question else { return false };
            let is_interrupted = (question.is_interrupted)();
            if is_interrupted {
                question.silence.get_or_insert_with(|| set_default(&Dispatch::none()));
            }
            is_interrupted
        })
    }
}
