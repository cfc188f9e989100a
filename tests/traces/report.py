"""The table of what was measured. Knows no server."""
import statistics

SWAP_LIMIT, PREFIX_LIMIT = 0.5, 1.2


def p95(values):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def table(found):
    """Rows of names, values of each column, and what was promised of the first."""
    columns = [(name, found[name]) for name in ("beastd", "llama-server") if name in found]
    simulated = [(f"ollama's rule, times of {name}", found[f"ollama on {name}"]) for name, _ in columns]
    lines = [["", *(name for name, _ in columns), *(name for name, _ in simulated), "promise"]]

    def row(name, read, promise="", with_rule=True):
        rules = [read(one) for _, one in simulated] if with_rule else ["" for _ in simulated]
        lines.append([name, *(read(one["trace"]) for _, one in columns), *rules, promise])

    def own(name, read, promise=""):
        lines.append([name, *(read(one) for _, one in columns), *("" for _ in simulated), promise])

    row("makespan, s", lambda trace: f"{trace['makespan']:.1f}")
    row("first token, median, s", lambda trace: f"{statistics.median(trace['first']):.2f}")
    row("first token, p95, s", lambda trace: f"{p95(trace['first']):.2f}")
    row("loads during the trace", lambda trace: str(trace["n_loads"]))
    cap = found["cap"]
    row("peak memory, MB", lambda trace: f"{trace['peak'] / 1e6:.0f}",
        kept(found["beastd"]["trace"]["peak"] <= cap, f"at most {cap / 1e6:.0f}"))
    for model in "ABC":
        taken = statistics.median(found["beastd"]["swaps"][model])
        own(f"swap-in of {model}, s", lambda one, model=model: f"{statistics.median(one['swaps'][model]):.2f}",
            kept(taken <= SWAP_LIMIT, f"at most {SWAP_LIMIT}"))
    own("first token, instruction in RAM, ms", lambda one: f"{1000 * statistics.median(one['prefixes']['known']):.0f}")
    own("the same after a swap, ms", lambda one: f"{1000 * statistics.median(one['prefixes']['returned']):.0f}")
    own("  as a ratio", lambda one: f"{ratio(one):.2f}",
        kept(ratio(found["beastd"]) <= PREFIX_LIMIT, f"at most {PREFIX_LIMIT}"))
    own("  tokens from the cache", lambda one: f"{statistics.median(one['prefixes']['n_cached']):.0f}")
    return lines


def ratio(one):
    return statistics.median(one["prefixes"]["returned"]) / statistics.median(one["prefixes"]["known"])


def kept(holds, promise):
    return f"{promise}: {'kept' if holds else 'MISSED'}"


def printed(lines):
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    rows = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rows)
