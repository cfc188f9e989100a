"""Many streams at once, some of them left by their clients: the others are whole, nothing runs on, memory stays.

Usage: load.py [--streams 200] [--aborted 50] [--leave 1000] [--seed S]
Environment: BASE_URL, MODEL, DAEMON_PID (for memory and file descriptors)
The server needs room: beastd --set max_waiting=512 --set max_connections=1024.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import struct
import sys
import time
import urllib.parse
import urllib.request

BASE_URL = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ.get("MODEL", "cub")
ADDRESS = urllib.parse.urlsplit(BASE_URL)
PID = os.environ.get("DAEMON_PID")
MOST_GROWTH_KIB = 32 * 1024


def resident_kib() -> int:
    if not PID:
        return 0
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def open_files() -> int:
    return len(os.listdir(f"/proc/{PID}/fd")) if PID else 0


def running() -> int:
    request = urllib.request.Request(f"{BASE_URL}/slots", headers={"Authorization": "Bearer none"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return sum(1 for slot in json.load(response) if slot["is_processing"])


def request(i: int, max_tokens: int) -> bytes:
    body = json.dumps(
        {
            "model": MODEL,
            "stream": True,
            "max_tokens": max_tokens,
            "temperature": 0,
            "logit_bias": {"7": -100},
            "messages": [{"role": "user", "content": f"What is a daemon? ({i})"}],
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {ADDRESS.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer none\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def stream(i: int, max_tokens: int, leave_after: float | None, reset: bool = False) -> str:
    """One client. Leaves after that many seconds, or says how the stream ended: "left", "whole", or what is wrong."""
    reader, writer = await asyncio.open_connection(ADDRESS.hostname, ADDRESS.port)
    writer.write(request(i, max_tokens))
    try:
        async with asyncio.timeout(leave_after if leave_after is not None else 300):
            raw = await reader.read(-1)
    except TimeoutError:
        if reset:
            raw_socket = writer.get_extra_info("socket")
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort() if reset else writer.close()
        return "left" if leave_after is not None else "no end within 300 s"
    except OSError as error:
        return f"{type(error).__name__}"
    writer.close()
    return judge(raw)


def judge(raw: bytes) -> str:
    head, _, body = raw.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        return f"status {status}: {body[:100]!r}"
    if b"data: [DONE]\n\n" not in body:
        return f"no [DONE]: ...{body[-100:]!r}"
    if b'"finish_reason":"length"' not in body.replace(b": ", b":"):
        return "no finish_reason"
    return "whole"


async def concurrent(arguments, dice: random.Random) -> list[str]:
    """All at once; some leave at random."""
    leaving = set(dice.sample(range(arguments.streams), arguments.aborted))
    outcomes = await asyncio.gather(
        *(
            stream(i, 40, dice.uniform(0.01, 3) if i in leaving else None, dice.random() < 0.5)
            for i in range(arguments.streams)
        )
    )
    stayed = [outcome for i, outcome in enumerate(outcomes) if i not in leaving]
    return [f"a stream of {arguments.streams}: {outcome}" for outcome in stayed if outcome != "whole"]


async def leaving(arguments, dice: random.Random) -> list[str]:
    """Many that go away, some dozens at a time."""
    room = asyncio.Semaphore(40)

    async def one(i: int) -> str:
        async with room:
            return await stream(i, 400, dice.choice([0, 0.002, 0.02, 0.1, 0.3]), dice.random() < 0.5)

    outcomes = await asyncio.gather(*(one(i) for i in range(arguments.leave)))
    return [f"a stream that leaves: {outcome}" for outcome in outcomes if outcome not in ("left", "whole")]


async def settle(seconds: float = 10) -> list[str]:
    deadline = time.monotonic() + seconds
    while (n := await asyncio.to_thread(running)) > 0:
        if time.monotonic() > deadline:
            return [f"{n} slots still run {seconds:.0f} s after the last client"]
        await asyncio.sleep(0.1)
    return []


def verdict(wrong: list[str]) -> str:
    return "FAIL" if wrong else "ok"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--aborted", type=int, default=50)
    parser.add_argument("--leave", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    wrong, started = [], time.monotonic()

    asyncio.run(stream(0, 40, None))
    files = open_files()
    wrong += asyncio.run(concurrent(arguments, dice)) + asyncio.run(settle())
    seconds = time.monotonic() - started
    print(f"{verdict(wrong)} concurrent: {arguments.streams} streams, {arguments.aborted} left, {seconds:.0f} s")
    # The first round fills the pools of the allocator and the caches; after that, memory must not grow.
    before, started = resident_kib(), time.monotonic()
    late = asyncio.run(leaving(arguments, dice)) + asyncio.run(settle())
    # More streams than slots show that no permit was lost.
    outcomes = asyncio.run(gather_whole())
    late += [f"afterwards: {outcome}" for outcome in outcomes if outcome != "whole"]
    growth, files_now = resident_kib() - before, open_files()
    if growth > MOST_GROWTH_KIB:
        late.append(f"memory grew by {growth} KiB")
    if files_now > files + 8:
        late.append(f"{files_now - files} more files are open than before")
    seconds = time.monotonic() - started
    figures = f"memory {growth:+} KiB, files {files_now - files:+}, {seconds:.0f} s"
    print(f"{verdict(late)} leaving: {arguments.leave} streams left, {figures}")
    for text in (wrong + late)[:20]:
        print("  " + text)
    sys.exit(1 if wrong or late else 0)


async def gather_whole() -> list[str]:
    return await asyncio.gather(*(stream(i, 20, None) for i in range(16)))


if __name__ == "__main__":
    main()
