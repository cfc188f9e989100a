"""The trace: which request comes when, the same for every server. Knows no server."""
import dataclasses, random

CHAT, EMBED = "chat", "embed"
# The rhythm of somebody at work: questions in runs, some commit messages, now and then a search by meaning.
RHYTHM = "ABAACABBAC"
# A place of the rhythm is replaced by a random model so often.
SURPRISE = 0.2
WORDS = ("the daemon reads a file and writes its answer to socket when client asks for list of all open ports on "
         "this machine system keeps log in folder where user can find it after restart network memory is full then "
         "process waits until other one ends with signal from kernel that starts new thread by name value key each "
         "line").split()


@dataclasses.dataclass
class Request:
    number: int
    # Seconds after the beginning of the trace.
    at: float
    # A, B or C.
    model: str
    kind: str
    # The turns of a conversation, or the texts to embed.
    content: list
    n_tokens: int = 0


@dataclasses.dataclass
class Shape:
    """How much is asked: the true one, and a small one for trying."""
    n_requests: int = 48
    # Seconds between two requests, on average.
    gap: float = 1.5
    n_instruction: int = 260
    n_words: int = 40
    n_tokens: int = 24
    n_texts: int = 4
    n_prefix: int = 900
    n_rounds: int = 5


TINY = Shape(n_requests=16, gap=0.2, n_prefix=500, n_rounds=2)


def text(dice, n_words):
    words = [dice.choice(WORDS) for _ in range(n_words)]
    return " ".join(" ".join(words[n:n + 10]) + "." for n in range(0, n_words, 10))


def conversation(system, words):
    return [{"role": "system", "content": system}, {"role": "user", "content": words}]


def make(seed, shape):
    """The requests in the order of arrival. A and B have an instruction each, which all their requests share."""
    dice = random.Random(seed)
    system = {model: text(dice, shape.n_instruction) for model in "AB"}
    requests, at = [], 0.0
    for number in range(shape.n_requests):
        model = dice.choice("ABC") if dice.random() < SURPRISE else RHYTHM[number % len(RHYTHM)]
        if model == "C":
            content = [text(dice, shape.n_words) for _ in range(shape.n_texts)]
            requests.append(Request(number, at, model, EMBED, content))
        else:
            content = conversation(system[model], text(dice, shape.n_words))
            requests.append(Request(number, at, model, CHAT, content, shape.n_tokens))
        at += dice.expovariate(1 / shape.gap)
    return requests
