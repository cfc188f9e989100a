//! Unsafe calls to llama.cpp and the allocator: functions for which there is no safe interface.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use beast_launchd::{file, shown};
use llama_cpp_2::LlamaStateSeqFlags;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_sys_2 as sys;

use super::state::SavedState;

/// A sequence's state. `None` if llama.cpp writes another number of bytes than it announced.
pub(super) fn save(context: &LlamaContext<'_>, seq_id: i32) -> Option<SavedState> {
    let flags = LlamaStateSeqFlags::empty();
    let mut bytes = vec![0; context.state_seq_get_size_ext(seq_id, flags)];
    // SAFETY: llama.cpp writes as many bytes as it has just announced; nothing has changed the context in between.
    let n_written = unsafe { context.state_seq_get_data_ext(bytes.as_mut_ptr(), seq_id, flags) };
    (n_written == bytes.len()).then(|| SavedState::of_engine(bytes))
}

/// Restores what `save` returned into an empty sequence. False if there is no room; the sequence must then be cleared.
pub(super) fn restore(context: &mut LlamaContext<'_>, seq_id: i32, state: &SavedState) -> bool {
    // SAFETY: the bytes are llama.cpp's own, undamaged, as their type guarantees; llama.cpp gets their length and
    // compares the shapes in them with its own.
    unsafe { context.state_seq_set_data_ext(state.bytes(), seq_id, LlamaStateSeqFlags::empty()) }
}

/// The instruction sets that llama.cpp was compiled for, by their Rust names; an empty text for each that it does not
/// need. With `target-cpu=native` CMake takes them from the compiler, and nothing else in the build learns of them.
pub fn needs() -> [&'static str; 15] {
    // SAFETY: each function returns a constant that was fixed at compile time, and executes none of the instructions
    // that it reports.
    let needs = unsafe {
        [
            (sys::ggml_cpu_has_sse3(), "sse3"),
            (sys::ggml_cpu_has_ssse3(), "ssse3"),
            (sys::ggml_cpu_has_avx(), "avx"),
            (sys::ggml_cpu_has_f16c(), "f16c"),
            (sys::ggml_cpu_has_fma(), "fma"),
            (sys::ggml_cpu_has_bmi2(), "bmi2"),
            (sys::ggml_cpu_has_avx2(), "avx2"),
            (sys::ggml_cpu_has_avx_vnni(), "avxvnni"),
            (sys::ggml_cpu_has_avx512(), "avx512f"),
            (sys::ggml_cpu_has_avx512_vnni(), "avx512vnni"),
            (sys::ggml_cpu_has_avx512_vbmi(), "avx512vbmi"),
            (sys::ggml_cpu_has_avx512_bf16(), "avx512bf16"),
            (sys::ggml_cpu_has_dotprod(), "dotprod"),
            (sys::ggml_cpu_has_matmul_int8(), "i8mm"),
            (sys::ggml_cpu_has_sve(), "sve"),
        ]
    };
    needs.map(|(is_needed, feature)| if is_needed == 0 { "" } else { feature })
}

/// Keeps all allocations in one arena; call at process start. In glibc's arenas of other threads, freed memory stays
/// fragmented: after unloading a model, two to four megabytes more remained. The few threads here seldom allocate at
/// once.
pub fn keep_memory_together() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a parameter is set; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Returns freed memory to the system: glibc keeps small freed blocks, which after a model are tens of megabytes.
pub fn return_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only freed memory is touched, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A lock for what only one model may do at a time: llama.cpp's list of buffer types is global, and loading reads it.
pub(super) struct Loading(MutexGuard<'static, Option<usize>>);

/// Waits until no other model is being loaded.
pub(super) fn loading() -> Loading {
    /// The original first entry of the list; an address, because pointers are not `Send`.
    static FIRST: Mutex<Option<usize>> = Mutex::new(None);
    // A thread that panicked while holding the lock has left the list in one of its two valid states.
    Loading(FIRST.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Decides whether the weights of the next model to load are repacked for this CPU's instructions. The wrapper does not
/// expose llama.cpp's parameter for that. It does expose the CPU's list of repacking buffer types, which ends at a null
/// pointer; a null pointer in the first place empties it. Can go once the wrapper's model parameters have
/// `use_extra_bufts`.
pub(super) fn set_repack(loading: &mut Loading, is_wanted: bool) {
    let Some(list) = extra_buffer_types() else { return };
    // SAFETY: the list is a vector of llama.cpp's that lives as long as the process and has at least the null pointer
    // at its end. It is read only while a model is loaded, and no other thread loads one: `loading` proves that.
    unsafe {
        leave_amx_out(list);
        let saved = *loading.0.get_or_insert(*list as usize);
        *list = if is_wanted { saved as sys::ggml_backend_buffer_type_t } else { std::ptr::null_mut() };
    }
}

/// Loads a backend from a file for the life of the process. False if llama.cpp rejects it; its log has the reason.
pub(super) fn load_backend(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path ends with a null byte. The code in the file is not checked here: the caller has already run it
    // in another process.
    unsafe { !sys::ggml_backend_load(path.as_ptr()).is_null() }
}

/// Removes AMX from the list. GCC's header (seen in GCC 12) declares that `_tile_loadconfig` reads 8 bytes, but it
/// reads 64. So the compiler drops most of the configuration that llama.cpp wrote, and the first matrix product of a
/// long prompt raises SIGILL. Can go once llama.cpp is never built by such a compiler.
///
/// # Safety
/// As for [`set_repack`]: the list ends at a null pointer, and nothing reads it meanwhile.
unsafe fn leave_amx_out(list: *mut sys::ggml_backend_buffer_type_t) {
    // SAFETY: every entry up to the null pointer is read, and those after AMX move down by one, the null pointer
    // included; names are static texts.
    unsafe {
        let mut at = list;
        while !(*at).is_null() {
            if CStr::from_ptr(sys::ggml_backend_buft_name(*at)) != c"AMX" {
                at = at.add(1);
                continue;
            }
            let mut next = at;
            while !(*next).is_null() {
                *next = *next.add(1);
                next = next.add(1);
            }
        }
    }
}

/// The CPU's list of repacking buffer types; `None` in a build without any.
fn extra_buffer_types() -> Option<*mut sys::ggml_backend_buffer_type_t> {
    // SAFETY: queries to llama.cpp's registry, which the wrapper has initialized. Each result is checked before it is
    // used, and the function has the type that ggml-backend.h declares under this name.
    unsafe {
        let device = sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU);
        if device.is_null() {
            return None;
        }
        let registry = sys::ggml_backend_dev_backend_reg(device);
        let address = sys::ggml_backend_reg_get_proc_address(registry, c"ggml_backend_dev_get_extra_bufts".as_ptr());
        let ask: sys::ggml_backend_dev_get_extra_bufts_t = std::mem::transmute(address);
        let list = ask?(device);
        (!list.is_null()).then_some(list)
    }
}

/// A tensor of a model's file, as described in the header.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) n_bytes: u64,
    pub(super) shape: [u64; 4],
}

/// All tensors of a model's file; `None` if llama.cpp cannot read it.
pub(super) fn tensors(path: &Path) -> Option<Vec<Tensor>> {
    // llama.cpp would block on a pipe.
    drop(file::open(path).ok()?);
    let name = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut described = std::ptr::null_mut();
    let params = sys::gguf_init_params { no_alloc: true, ctx: &raw mut described };
    // SAFETY: the path ends with a null byte; the results are checked, and each part is freed once. The tensors are a
    // list that ends with a null pointer and lives as long as `described`.
    unsafe {
        let head = sys::gguf_init_from_file(name.as_ptr(), params);
        if head.is_null() {
            return None;
        }
        sys::gguf_free(head);
        let mut tensors = Vec::new();
        let mut next = sys::ggml_get_first_tensor(described);
        while !next.is_null() {
            let tensor = &*next;
            tensors.push(Tensor {
                name: CStr::from_ptr(tensor.name.as_ptr()).to_string_lossy().into_owned(),
                n_bytes: sys::ggml_nbytes(next) as u64,
                shape: tensor.ne.map(|n| u64::try_from(n).unwrap_or(0)),
            });
            next = sys::ggml_get_next_tensor(described, next);
        }
        sys::ggml_free(described);
        Some(tensors)
    }
}

/// Approximate limit of the weights to validate, in bytes.
const MOST_VALIDATED: u64 = 128 << 20;

/// The name of a tensor with a NaN weight; `None` if none is found, or llama.cpp cannot read the file. Checks all
/// weights of a small file but only samples of a large one, since startup waits for it; computing with the model
/// reveals most of the rest.
pub(super) fn broken_tensor(path: &Path) -> Option<String> {
    let name = CString::new(path.as_os_str().as_bytes()).ok()?;
    let file = file::open(path).ok()?;
    let params = sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() };
    // SAFETY: the path ends with a null byte; the header is checked, queried only for tensors that it has counted
    // itself, and freed once.
    unsafe {
        let head = sys::gguf_init_from_file(name.as_ptr(), params);
        if head.is_null() {
            return None;
        }
        let n_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let stride = usize::try_from(n_bytes / MOST_VALIDATED).unwrap_or(usize::MAX).max(1);
        let broken = (0..sys::gguf_get_n_tensors(head)).find(|&n| !is_sound(head, n, &file, stride));
        let broken = broken.map(|n| CStr::from_ptr(sys::gguf_get_tensor_name(head, n)).to_string_lossy().into_owned());
        sys::gguf_free(head);
        broken
    }
}

/// Whether the weights in every `stride`-th chunk of a tensor are numbers; unreadable parts are left to the loader.
///
/// # Safety
/// `head` is a valid header of llama.cpp's, and has a tensor with this number.
unsafe fn is_sound(head: *const sys::gguf_context, n: i64, file: &File, stride: usize) -> bool {
    const CHUNK: usize = 1 << 20;
    // SAFETY: guaranteed by the caller; the header has accepted the type, and the buffer is as long as the length
    // passed with it.
    unsafe {
        let kind = sys::gguf_get_tensor_type(head, n);
        let start = sys::gguf_get_data_offset(head) as u64 + sys::gguf_get_tensor_offset(head, n) as u64;
        let (size, unit) = (sys::gguf_get_tensor_size(head, n), sys::ggml_type_size(kind).max(1));
        let mut buffer = vec![0_u8; CHUNK.next_multiple_of(unit).min(size)];
        for at in (0..size).step_by(buffer.len().max(1).saturating_mul(stride)) {
            let part = &mut buffer[..(size - at).min(CHUNK.next_multiple_of(unit))];
            if file.read_exact_at(part, start + at as u64).is_err() {
                return true;
            }
            if !sys::ggml_validate_row_data(kind, part.as_ptr().cast(), part.len()) {
                return false;
            }
        }
    }
    true
}

/// Sets the environment variables that llama.cpp would otherwise set while it loads a model. Call at process start: a
/// thread that reads the environment, as `std::env::var` does, while another sets it may read freed memory.
pub fn settle_environment() {
    let set = |name, value| {
        // SAFETY: no other thread runs yet that could read the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    };
    // Otherwise a failed assertion starts gdb, which may hang.
    set("GGML_NO_BACKTRACE", "1");
    // llama.cpp does not replace this.
    if std::env::var_os("KMP_BLOCKTIME").is_none() {
        set("KMP_BLOCKTIME", "200");
    }
    // llama.cpp replaces this by the same value, which takes no other memory.
    #[cfg(target_os = "macos")]
    set("AGX_RELAX_CDM_CTXSTORE_TIMEOUT", "1");
}

/// Makes the daemon log why it ends where it cannot go on: after a failed assertion in llama.cpp, or when a model's
/// file was truncated while it was mapped. Call at process start.
pub fn log_last_words() {
    // SAFETY: `before_abort` is a valid abort callback.
    unsafe {
        sys::ggml_set_abort_callback(Some(before_abort));
    }
    // Elsewhere a full stack raises the same signal, and Rust says so.
    #[cfg(target_os = "linux")]
    // SAFETY: an action of zeros is valid, and the handler is for this signal.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = at_missing_page as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

/// Called for a page of a mapped file that lies beyond the file's end. Whoever reads weights holds no lock that is
/// needed here.
#[cfg(target_os = "linux")]
extern "C" fn at_missing_page(signal: i32) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    // Threads that compute get here at the same time; those that come later wait for the first.
    if IS_SAID.swap(true, Ordering::Relaxed) {
        return std::thread::sleep(TIME_TO_WRITE);
    }
    say_last_words("cannot go on", "a model's file was truncated while it was in use");
    // The access is repeated after this handler, and then ends the process.
    // SAFETY: the default action is valid.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Called by llama.cpp before it aborts.
///
/// # Safety
/// The text ends with a null byte.
unsafe extern "C" fn before_abort(text: *const std::ffi::c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: guaranteed by llama.cpp.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    // The path is that of the build machine, so only its file name is shown.
    let text = match text.split_once(':') {
        Some((path, rest)) => format!("{}:{rest}", path.rsplit('/').next().unwrap_or(path)),
        None => text.into_owned(),
    };
    say_last_words("llama.cpp ended the process", &text);
}

/// For the log writer to write a line.
const TIME_TO_WRITE: std::time::Duration = std::time::Duration::from_millis(100);

/// A line for clients (`words.rs` of the crate `launchd`) and one for the log.
fn say_last_words(what: &'static str, reason: &str) {
    // stderr may be closed.
    let _ = writeln!(std::io::stderr(), "beastd: {what}: {}", shown::logged(reason));
    tracing::error!(reason, "{what}");
    std::thread::sleep(TIME_TO_WRITE);
}
