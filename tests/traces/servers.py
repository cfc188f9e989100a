"""beastd and llama-server's router, both over HTTP: start, ask, load, and what they cost."""
import http.client, json, os, re, shutil, socket, subprocess, tempfile, time
from pathlib import Path

from workload import EMBED

KEY = "traces-of-several-models"
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
# Seconds for anything that is measured, on any machine worth measuring.
LIMIT = 600
PAUSE = 0.005


class Answer:
    """Seconds from the request to its first token and to its end, and the prompt tokens that were cached."""

    def __init__(self, first, end, n_cached):
        self.first, self.end, self.n_cached = first, end, n_cached


class Server:
    """A program that serves the models A, B and C on a port. Ended by its process id."""
    name = ""

    def __init__(self, models, options):
        self.models, self.options = models, options
        self.home = Path(tempfile.mkdtemp(prefix="beast-traces-", dir="/tmp"))
        self.port = free_port()
        self.log = open(self.home / "log", "w")
        for folder in ("run", "config", "cache", "state", "data"):
            (self.home / folder).mkdir(mode=0o700)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.env |= {f"XDG_{name}": str(self.home / folder) for name, folder in (
            ("RUNTIME_DIR", "run"), ("CONFIG_HOME", "config"), ("CACHE_HOME", "cache"), ("STATE_HOME", "state"),
            ("DATA_HOME", "data"))}
        try:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            env=self.env, cwd=self.home)
        except OSError:
            shutil.rmtree(self.home)
            raise

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            self.wait_until(self.is_up, "to answer")
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def wait_until(self, holds, what):
        until = time.monotonic() + LIMIT
        while not holds():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} has ended: {self.last_words()}")
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name} takes longer than {LIMIT} s {what}: {self.last_words()}")
            time.sleep(PAUSE)

    def is_up(self):
        try:
            return self.call("GET", "/models")[0] == 200
        except OSError:
            return False

    def last_words(self):
        return " | ".join((self.home / "log").read_text(errors="replace").splitlines()[-5:])

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def call(self, method, path, body=None):
        connection = self.connection()
        connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None

    def ask(self, request):
        """Sends a request and reads its whole answer."""
        began = time.monotonic()
        if request.kind == EMBED:
            body = {"model": request.model, "input": request.content}
            status, answer = self.call("POST", "/v1/embeddings", body)
            if status != 200 or len(answer["data"]) != len(request.content):
                raise RuntimeError(f"{self.name}: {status} {str(answer)[:200]}")
            end = time.monotonic() - began
            return Answer(end, end, 0)
        body = {"model": request.model, "messages": request.content, "max_tokens": request.n_tokens, "temperature": 0,
                "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
        connection = self.connection()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), HEADERS)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{self.name}: {response.status} {response.read()[:200]}")
        first, n_cached, n_tokens = None, 0, 0
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(f"{self.name}: {event['error']}")
            if any(choice["delta"].get("content") for choice in event.get("choices", [])):
                first = first or time.monotonic() - began
            usage = event.get("usage")
            if usage:
                n_tokens = usage["completion_tokens"]
                n_cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        connection.close()
        end = time.monotonic() - began
        if n_tokens != request.n_tokens:
            raise RuntimeError(f"{self.name}: {n_tokens} tokens instead of {request.n_tokens}")
        # Tokens without text have no event.
        return Answer(first or end, end, n_cached)

    def state(self, model):
        raise NotImplementedError

    def load(self, model):
        """Loads a model, which may evict others. Returns the seconds."""
        if self.state(model) == "loaded":
            # llama-server refuses that.
            return 0.0
        began = time.monotonic()
        status, answer = self.call("POST", "/models/load", {"model": model})
        if status != 200:
            raise RuntimeError(f"{self.name} cannot load {model}: {answer}")
        self.wait_until(lambda: self.state(model) == "loaded", f"to load {model}")
        return time.monotonic() - began

    def unload(self, model):
        self.call("POST", "/models/unload", {"model": model})
        self.wait_until(lambda: self.state(model) == "unloaded", f"to unload {model}")

    def n_loads(self):
        """Models that were loaded since the start, one that was loaded twice counts twice."""
        raise NotImplementedError

    def memory(self):
        """Resident bytes of the process and each of its children: all, allocated, and pages of mapped files."""
        names = ("VmRSS", "RssAnon", "RssFile")
        return [{name: field(pid, name) for name in names} for pid in family(self.process.pid)]


class Beast(Server):
    name = "beastd"

    def command(self):
        aliases = ",".join(f"{name}={path}" for name, path in self.models.items())
        options = self.options
        settings = {"http.listen": f"127.0.0.1:{self.port}", "http.api_key": KEY, "aliases": aliases,
                    "model": self.models["A"], "n_ctx": options.n_ctx, "n_slots": options.n_slots,
                    "n_threads": options.threads, "idle_unload": "never", "memory_budget": options.cap or "auto"}
        command = [str(options.programs / "beastd")]
        return command + [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]

    def status(self):
        """The status, with the models by their names here."""
        command = [str(self.options.programs / "beastctl"), "status", "--json"]
        said = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise RuntimeError(f"no status of beastd: {said.stderr.strip()}; its log: {self.last_words()}")
        status = json.loads(said.stdout)
        names = {os.path.realpath(path): name for name, path in self.models.items()}
        of = {names.get(os.path.realpath(one["path"])): one for one in status["models"] if one["path"]}
        return status, of

    def state(self, model):
        one = self.status()[1].get(model)
        return {"ready": "loaded"}.get(one["state"], one["state"]) if one else "unloaded"

    def n_loads(self):
        return sum(one["n_loads"] for one in self.status()[0]["models"])

    def n_bytes(self):
        """Bytes of each model, as the daemon counts them."""
        return {name: one["n_bytes"] for name, one in self.status()[1].items()}

    def load(self, model):
        began = time.monotonic()
        status, answer = self.call("POST", "/models/load", {"model": model})
        if status != 200:
            raise RuntimeError(f"beastd cannot load {model}: {answer}")
        # Answered once it is loaded.
        return time.monotonic() - began

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self):
        """Most resident bytes of the daemon since [`Beast.forget_peak`], as the kernel counts them."""
        return field(self.process.pid, "VmHWM")


class Router(Server):
    name = "llama-server"

    def command(self):
        options = self.options
        sections = [f"[{name}]\nmodel = {path}\n" for name, path in self.models.items()]
        # Only one of the models is asked for vectors; chat is served all the same.
        sections[-1] += "embeddings = true\npooling = mean\n"
        presets = self.home / "models.ini"
        presets.write_text("version = 1\n" + "".join(sections))
        own = {"--models-preset": presets, "--models-max": 2, "--host": "127.0.0.1", "--port": self.port,
               "--api-key": KEY, "-np": options.n_slots, "-c": options.n_slots * options.n_ctx, "-t": options.threads}
        return [str(options.peers / "llama-server"), *(str(word) for pair in own.items() for word in pair)]

    def state(self, model):
        models = self.call("GET", "/models")[1]["data"]
        return next(one["status"]["value"] for one in models if one["id"] == model)

    def n_loads(self):
        return len(re.findall(r"spawning server instance with name=", (self.home / "log").read_text(errors="replace")))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def field(pid, name):
    """A field of /proc/PID/status in bytes; 0 once the process has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
    return int(found[1]) * 1024 if found else 0


def family(pid):
    """A process and all its descendants."""
    pids = [pid]
    for one in pids:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return pids
