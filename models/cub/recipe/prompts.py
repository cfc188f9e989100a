"""Instruction wordings and ChatML rendering for cub's tasks.

Each task has about 25 base wordings, optional constraints and several layouts
(instruction in the system turn, in the user turn before or after the text,
with fences, tags or labels), so the model keys on the task and not on a phrase.
"""

SYSTEM_GENERIC = [
    "You are a helpful assistant.",
    "You are a helpful assistant trained by Liquid AI.",
    "You are a concise assistant.",
    "You are cub, a tiny assistant that lives on this computer.",
    "You are a small local language model.",
    "You are a command line assistant. Answer in plain text.",
    "You are a helpful command-line assistant. Be brief.",
    "You are an assistant running locally inside a daemon. Keep answers short.",
    "You are a precise technical assistant.",
    "You help software developers. Be brief and accurate.",
    "Answer briefly.",
    "Be concise and direct.",
]

SUMMARIZE = [
    "Summarize the following text in one line.",
    "Summarize the text in one sentence.",
    "Summarize this.",
    "Summarize:",
    "Please summarize the following text.",
    "Give a one-line summary of the text below.",
    "Write a one-line summary.",
    "Write a short summary of this text.",
    "Write a brief, one-sentence summary of the following.",
    "What is this text about? Answer in one line.",
    "In one line, what is this about?",
    "TL;DR",
    "Provide a TL;DR of the text.",
    "Condense the text below into a single line.",
    "Reduce the following to its main point.",
    "State the main point of the text in one short sentence.",
    "Summarise the following input.",
    "Summarise this document briefly.",
    "Produce a concise summary of the input.",
    "Describe in a few words what the following text says.",
    "Your task is to summarize text. Reply with one line.",
    "You summarize text. Reply with a single short line that captures the main point.",
    "You are a summarizer. Read the user's text and reply with a one-line summary.",
    "You are a concise summarizer.",
    "Create a headline-style summary of the content.",
    "Shorten the text to one line, keeping the key information.",
    "Summarize the content of this file in one line.",
    "Summarize the user's input clearly and concisely.",
]

COMMIT = [
    "Write a commit message for this diff.",
    "Write a git commit message for the following diff.",
    "Write a one-line commit message for these changes.",
    "Write the subject line of a commit message for the diff below.",
    "Generate a commit message.",
    "Generate a concise git commit message for the changes below.",
    "Generate a commit subject line in the imperative mood.",
    "Given the following diff, write an imperative commit subject.",
    "Summarize this diff as a commit message.",
    "Summarize the changes as a git commit message.",
    "Describe this change in one imperative line.",
    "Describe the following patch as a commit subject.",
    "Create a short commit message for this patch.",
    "Commit message:",
    "What commit message fits this diff?",
    "Suggest a commit message for the staged changes.",
    "Propose a good git commit message.",
    "You write git commit messages. Reply with the subject line only.",
    "You are a tool that turns diffs into commit messages.",
    "You are a commit message generator. Read the diff and reply with one imperative subject line.",
    "Your task is to write commit messages. The user sends a unified diff.",
    "Read the unified diff and reply with a commit subject line.",
    "Turn this diff into a commit message.",
    "Write an imperative subject line for this change.",
    "You are an expert developer. Write a clear commit message for the given diff.",
]

ASK = [
    "Answer the question.",
    "Answer the question in one line.",
    "Answer the question in one short sentence.",
    "Answer the user's question briefly.",
    "Answer briefly and accurately.",
    "Give a short answer.",
    "Give a one-line answer to the question.",
    "Reply with one sentence.",
    "Reply briefly.",
    "You answer short technical questions in one line.",
    "You are a helpful assistant. Answer questions in one sentence.",
    "You are a technical reference. Explain the term in one line.",
    "You are a glossary of software terms.",
    "Explain the thing the user asks about in one sentence.",
    "You answer questions about software and commands.",
    "Answer concisely. Plain text only.",
    "Be brief: one or two sentences.",
    "You are a concise question answering assistant.",
]

CONSTRAINT = {
    "summarize": ["Reply with only the summary.", "Use plain text.", "No preamble.", "Keep it short.", "Use at most 20 words.",
                  "Do not add anything else.", "Output one line.", "Be concise.", "Do not use markdown.", "Keep it under 100 characters."],
    "commit": ["Use the imperative mood.", "Reply with only the message.", "At most 72 characters.", "Use the imperative mood, no trailing period.",
               "No explanation.", "Keep it under 72 characters.", "Output one line.", "Do not use quotes.", "Subject line only.", "Be concise."],
    "ask": ["Be brief.", "Use plain text.", "Keep it to one sentence.", "No preamble.", "If you do not know, say so.", "Do not use markdown."],
}
BASE = {"summarize": SUMMARIZE, "commit": COMMIT, "ask": ASK}


def instruction(task, rng, held_out=False):
    """held_out: the last 3 wordings of each list, never used in training."""
    pool = BASE[task]
    s = rng.choice(pool[-3:] if held_out else pool[:-3])
    r = rng.random()
    if r < 0.45:
        s += " " + rng.choice(CONSTRAINT[task])
        if r < 0.12:
            s += " " + rng.choice(CONSTRAINT[task])
    return s


def layout(task, text, rng, held_out=False):
    """-> list of (role, content) up to the assistant turn."""
    ins = instruction(task, rng, held_out)
    body = text.strip("\n")
    if task == "ask":
        r = rng.random()
        if r < 0.40:
            return [("user", body)]
        if r < 0.80:
            return [("system", ins), ("user", body)]
        if r < 0.92:
            return [("system", rng.choice(SYSTEM_GENERIC)), ("user", body)]
        return [("user", ins + rng.choice(["\n\n", "\n", " "]) + body)]
    r = rng.random()
    if r < 0.34:  # instruction in the system turn, bare text in the user turn
        return [("system", ins), ("user", body)]
    if r < 0.40:  # both
        return [("system", ins), ("user", instruction(task, rng, held_out) + "\n\n" + body)]
    tag = {"summarize": ["text", "input", "document"], "commit": ["diff", "patch", "changes"]}[task]
    k = rng.random()
    t = rng.choice(tag)
    if k < 0.42:
        u = ins + rng.choice(["\n\n", "\n"]) + body
    elif k < 0.56:
        u = f"{ins}\n\n```{'diff' if task == 'commit' and rng.random() < .6 else ''}\n{body}\n```"
    elif k < 0.66:
        u = f"{ins}\n\n<{t}>\n{body}\n</{t}>"
    elif k < 0.76:
        u = f"{ins}\n\n{t.capitalize()}:\n{body}"
    elif k < 0.82:
        u = f"{ins}\n\n---\n{body}\n---"
    else:
        u = body + "\n\n" + ins
    if rng.random() < 0.45:
        return [("system", rng.choice(SYSTEM_GENERIC)), ("user", u)]
    return [("user", u)]


def chatml(turns, answer=None):
    """Without the leading <|startoftext|>."""
    s = "".join(f"<|im_start|>{r}\n{c}<|im_end|>\n" for r, c in turns) + "<|im_start|>assistant\n"
    if answer is not None:
        s += answer + "<|im_end|>\n"
    return s
