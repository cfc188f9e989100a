//! Programs on a CPU other than the one they were built for, which QEMU emulates; skipped without QEMU.

use std::process::Command;

use beast_tests::{Home, run, skip};

/// A CPU with SSE4.2 and without AVX.
const OLD: &str = "Nehalem";

#[test]
fn a_program_says_what_the_cpu_lacks() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_feature = "avx")) {
        return;
    }
    if Command::new("qemu-x86_64").arg("--version").output().is_err() {
        return skip("there is no qemu-x86_64; get it with: apt install qemu-user");
    }
    let home = Home::new();
    // `beastctl` exits with 70, because 1 means no for `beastctl decide`.
    for (program, code) in [(home.ctl(&["--version"]), 70), (home.beastd(&["--version"]), 1)] {
        let mut emulated = Command::new("qemu-x86_64");
        emulated.args(["-cpu", OLD]).arg(program.get_program()).args(program.get_args());
        let output = run(&mut emulated, b"");
        let line = output.failure(code);
        assert!(line.contains(": this program was built for a CPU with ") && line.contains("AVX"), "{output}");
        assert!(line.contains(", which this one lacks; try: "), "{output}");
    }
}
