"""Ollama's rule, simulated (its scheduler as of version 0.3: `server/sched.go`).

One queue in order of arrival. The first request of the queue blocks all others until it runs: if its model is absent
and does not fit, an idle model leaves (of equal keep-alive, the first by name), or, if none is idle, the first one once
its requests have ended. A model that is being loaded blocks the requests behind one that wants it. What leaves, leaves
with its cache.

Requests that run at the same time, and loads, share the machine equally. The times of each are measured ones.
"""
import dataclasses

# Work below this is done, in seconds.
TINY = 1e-9


@dataclasses.dataclass
class Times:
    """Measured seconds of one model, each alone on the machine."""
    load: float
    # The prompt when its instruction is not in the cache, and when it is; then the answer.
    cold: float
    warm: float
    answer: float


@dataclasses.dataclass
class Job:
    model: str
    # Seconds of work that are left; a load has no request.
    left: float
    request: object = None
    # Work after the first token.
    rest: float = 0.0


class Machine:
    def __init__(self, requests, times, n_bytes, cap):
        self.todo, self.times, self.n_bytes, self.cap = list(requests), times, n_bytes, cap
        self.now, self.jobs, self.queue = 0.0, [], []
        # Loaded models; those in `warm` have their instruction in the cache.
        self.loaded, self.loading, self.warm, self.leaving = set(), set(), set(), None
        self.n_loads, self.first, self.end, self.peak = 0, {}, {}, 0

    def run(self):
        while self.todo or self.queue or self.jobs:
            self.step()
        return self

    def step(self):
        while self.todo and self.todo[0].at <= self.now + TINY:
            self.queue.append(self.todo.pop(0))
        while self.queue and self.begin(self.queue[0]):
            self.queue.pop(0)
        until = self.todo[0].at - self.now if self.todo else float("inf")
        if not self.jobs:
            self.now += until
            return
        share = 1 / len(self.jobs)
        passed = min(until, min(job.left for job in self.jobs) / share)
        self.now += passed
        for job in self.jobs:
            job.left -= passed * share
        for job in [job for job in self.jobs if job.left <= TINY]:
            self.finish(job)

    def begin(self, request):
        """Whether the first request of the queue runs now."""
        model = request.model
        if self.leaving == model or model in self.loading:
            return False
        if model not in self.loaded:
            return self.make_room(request)
        self.submit(request)
        return True

    def make_room(self, request):
        held = self.loaded | self.loading
        needed = sum(self.n_bytes[one] for one in held) + self.n_bytes[request.model]
        if needed <= self.cap or not held:
            self.loading.add(request.model)
            self.n_loads += 1
            self.peak = max(self.peak, needed)
            self.jobs.append(Job(request.model, self.times[request.model].load, request))
            return True
        busy = {job.model for job in self.jobs}
        idle = sorted(self.loaded - busy)
        victim = self.leaving or (idle or sorted(held))[0]
        if victim in busy:
            self.leaving = victim
            return False
        self.loaded.discard(victim)
        self.warm.discard(victim)
        self.leaving = None
        return self.make_room(request)

    def submit(self, request):
        times = self.times[request.model]
        left = times.warm if request.model in self.warm else times.cold
        self.warm.add(request.model)
        self.jobs.append(Job(request.model, left, request, times.answer))

    def finish(self, job):
        self.jobs.remove(job)
        if job.model in self.loading:
            self.loading.discard(job.model)
            self.loaded.add(job.model)
            self.submit(job.request)
        elif job.request.number in self.first or job.rest == 0:
            self.first.setdefault(job.request.number, self.now)
            self.end[job.request.number] = self.now
        else:
            self.first[job.request.number] = self.now
            self.jobs.append(Job(job.model, job.rest, job.request))


def simulate(requests, times, n_bytes, cap):
    """As [`run.play`] measures it, of a machine with this rule."""
    machine = Machine(requests, times, n_bytes, cap).run()
    waits = [machine.first[request.number] - request.at for request in requests]
    return {"makespan": max(machine.end.values()), "first": waits, "n_loads": machine.n_loads, "peak": machine.peak}
