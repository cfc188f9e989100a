# .ci/formula fills in the URL and hash of the archive.
class Beast < Formula
  desc "Local language model daemon with a Unix-style command-line client"
  homepage "@HOMEPAGE@"
  url "@URL@"
  sha256 "@HASH@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "cmake" => :build
  depends_on "rust" => :build
  # bindgen loads libclang.
  uses_from_macos "llvm" => :build

  def install
    %w[beastd beastctl].each { |program| system "cargo", "install", *std_cargo_args(path: program) }
    generate_completions_from_executable(bin/"beastctl", "completions", shells: [:bash, :zsh, :fish])
    system bin/"beastctl", "man", "--dir", man1
    man1.install "packaging/man/beastd.1"
    pkgshare.install "integrations"
  end

  # Optional: beastctl starts beastd on demand. To start it at login: brew services start beast
  service do
    run opt_bin/"beastd"
    keep_alive crashed: true
    log_path var/"log/beastd.log"
    error_log_path var/"log/beastd.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/beastctl --version")
    assert_match version.to_s, shell_output("#{bin}/beastd --version")
    # A complete request on the built-in model.
    socket = testpath/"beastd.sock"
    begin
      output = shell_output("#{bin}/beastctl ask --no-log --max-tokens 8 --socket #{socket} 'What is a socket?'")
      refute_empty output.strip
    ensure
      system bin/"beastctl", "stop", "--socket", socket
    end
  end
end
