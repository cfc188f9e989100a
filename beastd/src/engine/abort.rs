//! Gives a step up in the middle. On a CPU llama.cpp asks after each operation whether to go on (`abort_callback`), but the wrapper
//! passes no such question on and keeps its context to itself. So the linker sends the wrapper's call that makes a context to `__wrap_…`
//! here (`build.rs`), which adds the question. What would let this go: that parameter in the wrapper.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
pub(super) use hook::unless;

/// Whether steps can be given up on this system.
pub(super) const IS_POSSIBLE: bool = cfg!(target_os = "linux");

/// Computes: nobody asks here.
#[cfg(not(target_os = "linux"))]
pub(super) fn unless<T>(_is_interrupted: super::IsInterrupted, compute: impl FnOnce() -> T) -> T {
    compute()
}

#[cfg(target_os = "linux")]
mod hook {
    use std::cell::RefCell;
    use std::ffi::c_void;

    use llama_cpp_sys_2 as sys;
    use tracing::Dispatch;
    use tracing::dispatcher::{DefaultGuard, set_default};

    use crate::engine::IsInterrupted;

    /// Of the step that this thread computes.
    struct Question {
        is_interrupted: IsInterrupted,
        /// llama.cpp calls what is given up a failure, in three lines; they would only alarm whoever reads the log.
        silence: Option<DefaultGuard>,
    }

    thread_local! {
        /// llama.cpp asks on the thread that called it, so that engines on several threads do not answer for each other.
        static QUESTION: RefCell<Option<Question>> = const { RefCell::new(None) };
    }

    /// Computes; llama.cpp gives up when `is_interrupted`.
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
    /// As for that.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_llama_new_context_with_model(
        model: *mut sys::llama_model,
        params: sys::llama_context_params,
    ) -> *mut sys::llama_context {
        let params = sys::llama_context_params { abort_callback: Some(is_interrupted), ..params };
        // SAFETY: the caller's arguments, and a function that reads nothing of what it is given.
        unsafe { __real_llama_new_context_with_model(model, params) }
    }

    /// Asked by llama.cpp after each operation of a graph.
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
