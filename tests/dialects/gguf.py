"""Rewrites the metadata of a GGUF file.

Exists because a model's name, template and sampling defaults lie in its file, and llama.cpp's tests set them by flags.
Knows nothing of tensors: their bytes are copied.
"""

import struct
from pathlib import Path

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UINT32, _FLOAT32, _STRING, _ARRAY = 4, 6, 8, 9

Value = str | int | float


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, code: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode()

    def skip_value(self, kind: int) -> None:
        if kind == _STRING:
            self.take(self.number("Q"))
        elif kind == _ARRAY:
            inner, n = self.number("I"), self.number("Q")
            if inner in _SIZES:
                self.take(n * _SIZES[inner])
            else:
                for _ in range(n):
                    self.skip_value(inner)
        else:
            self.take(_SIZES[kind])


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _entry(key: str, value: Value) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, int):
        return _string(key) + struct.pack("<II", _UINT32, value)
    return _string(key) + struct.pack("<If", _FLOAT32, value)


def rewrite(source: Path, target: Path, changes: dict[str, Value]) -> None:
    """Writes `source` to `target` with these values in place of, or beside, its own."""
    data = source.read_bytes()
    reader = _Reader(data)
    magic, version, n_tensors, n_entries = reader.take(4), reader.number("I"), reader.number("Q"), reader.number("Q")
    if magic != b"GGUF":
        raise ValueError(f"{source} is not a GGUF file")
    entries, alignment = [], 32
    for _ in range(n_entries):
        start = reader.at
        key, kind = reader.string(), reader.number("I")
        value_at = reader.at
        reader.skip_value(kind)
        if key == "general.alignment":
            alignment = struct.unpack("<I", data[value_at : reader.at])[0]
        if key not in changes:
            entries.append(data[start : reader.at])
    tensors_at = reader.at
    for _ in range(n_tensors):
        reader.string()
        reader.take(8 * reader.number("I") + 4 + 8)
    tensors = data[tensors_at : reader.at]
    weights = data[-(-reader.at // alignment) * alignment :]

    entries += [_entry(key, value) for key, value in changes.items()]
    head = magic + struct.pack("<IQQ", version, n_tensors, len(entries)) + b"".join(entries) + tensors
    padding = b"\0" * (-len(head) % alignment)
    part = target.with_suffix(f".{id(data)}.part")
    part.write_bytes(head + padding + weights)
    part.rename(target)
