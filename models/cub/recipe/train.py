"""Train cub (or, with --teacher, distil cub-draft) on packed rows; the schedule follows wall-clock time.

Matrices inside the layers are updated by Muon, everything else by fused AdamW; cosine schedule, bf16 autocast.
Documents give loss on all tokens; chat samples give loss on the assistant turn only.
"""
import argparse, json, math, time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from model import CONFIGS, LFM2

LOSS, CHAT, IDS = 0x8000, 0x4000, 0x1FFF


def load_rows(files, device):
    a = [torch.from_numpy(np.load(f).view(np.int16)) for f in files]
    return torch.cat(a).to(device)


def unpack(rows, chat_weight):
    r = rows.to(torch.int32) & 0xFFFF
    x = r & IDS
    w = ((r & LOSS) != 0).float() * (1 + (chat_weight - 1) * ((r & CHAT) != 0).float())
    doc = torch.cumsum((x == 1).int(), 1)[:, :-1].contiguous()
    return x[:, :-1].long().contiguous(), x[:, 1:].long().contiguous(), w[:, 1:].contiguous(), doc


def newton_schulz(g):
    x = g.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        b = -4.7750 * a + 2.0315 * a @ a
        x = 3.4445 * x + b @ x
    return x


class Muon:
    """Orthogonalised momentum (scaled to AdamW's update size) for stacks of equal-shaped matrices."""

    def __init__(self, params, lr, momentum=0.95, wd=0.05, ns=newton_schulz):
        self.lr, self.base, self.mom, self.wd, self.ns = lr, lr, momentum, wd, ns
        self.groups = {}
        for p in params:
            r, c = p.shape
            if r == 3 * c:                                  # the short convolution's three projections
                views = [(p, i) for i in range(3)]
                shape, flip = (c, c), False
            else:
                views, shape, flip = [(p, None)], (min(r, c), max(r, c)), r > c
            self.groups.setdefault(shape, []).extend((p, i, flip) for p, i in views)
        self.buf = {k: None for k in self.groups}

    def reset(self):
        self.buf = {k: None for k in self.groups}

    def view(self, t, i, flip):
        c = t.shape[1]
        t = t if i is None else t[i * c:(i + 1) * c]
        return t.mT if flip else t

    @torch.no_grad()
    def step(self):
        for shape, items in self.groups.items():
            g = torch.stack([self.view(p.grad, i, f) for p, i, f in items])
            if self.buf[shape] is None:
                self.buf[shape] = torch.zeros_like(g)
            b = self.buf[shape].lerp_(g, 1 - self.mom)
            u = self.ns(g.lerp(b, self.mom)).float() * (0.2 * math.sqrt(max(shape)))
            for k, (p, i, f) in enumerate(items):
                v = self.view(p.data, i, f)
                v.mul_(1 - self.lr * self.wd).add_(u[k], alpha=-self.lr)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True, type=Path, help="rows written by build_data.py")
    ap.add_argument("--out", required=True, type=Path, help="folder for the checkpoint and its log")
    ap.add_argument("--config", choices=CONFIGS, default="cub", help="shape of the model")
    ap.add_argument("--seconds", type=float, default=600, help="training time, after compiling")
    ap.add_argument("--steps", type=int, default=10 ** 9, help="at most so many steps")
    ap.add_argument("--rows", type=int, default=32, help="rows of 4,096 tokens a step")
    ap.add_argument("--lr", type=float, default=2.5e-3, help="peak learning rate")
    ap.add_argument("--chat-weight", type=float, default=4.0, help="weight of a chat token against a text token")
    ap.add_argument("--mix", default="0.25,0.62,0.75", help="chat share of rows before, switch point, chat share after")
    ap.add_argument("--teacher", type=Path, help="checkpoint to distil from")
    ap.add_argument("--device", default="cuda", help="cuda or cpu")
    ap.add_argument("--init", type=Path, help="checkpoint to start from")
    ap.add_argument("--until", type=float, help="instead of --seconds: stop at this Unix time")
    ap.add_argument("--wait", default="", help="SFT,PRE: compile on random rows first, then wait for that many shards")
    ap.add_argument("--no-eval", action="store_true", help="do not measure held-out loss")
    ap.add_argument("--smoke", action="store_true", help="random rows, timing only")
    ap.add_argument("--seed", type=int, default=0, help="order of the rows")
    a = ap.parse_args()
    torch.manual_seed(a.seed)
    cuda = a.device == "cuda"
    torch.set_float32_matmul_precision("high")
    cfg = CONFIGS[a.config]
    model = LFM2(cfg).to(a.device)
    if a.init:
        model.load_state_dict(torch.load(a.init, map_location=a.device))
    teacher = None
    if a.teacher:
        teacher = LFM2(CONFIGS["cub"]).to(a.device).eval()
        teacher.load_state_dict({k: v.float() for k, v in torch.load(a.teacher, map_location=a.device).items()})
        teacher.requires_grad_(False)
        teacher.act = torch.bfloat16 if cuda else None
    model.act = torch.bfloat16 if cuda else None
    print(a.config, sum(p.numel() for p in model.parameters()) / 1e6, "M parameters", flush=True)

    def random_rows(n=64, t=4097):
        g = torch.Generator().manual_seed(1)
        z = torch.randint(8, 8192, (n, t), generator=g)
        z[torch.rand(z.shape, generator=g) < 1 / 250] = 1
        return ((z | LOSS).to(torch.int32) - 65536).to(torch.int16).to(a.device)

    if cuda:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        cbm = torch.compile(create_block_mask, dynamic=False)

        def doc_mask(doc):
            def mm(b, h, q, k):
                return (q >= k) & (doc[b, q] == doc[b, k])
            return mm

        def make_mask(doc):
            return cbm(doc_mask(doc), doc.shape[0], None, doc.shape[1], doc.shape[1], device=doc.device)
        flex = flex_attention
    else:
        make_mask, flex = (lambda doc: None), None

    def ce_loss(ids, tgt, w, doc, mask):
        with torch.autocast(a.device, dtype=torch.bfloat16, enabled=cuda):
            lg = model.logits(model(ids, doc, flex, mask))
        ce = F.cross_entropy(lg.float().flatten(0, 1), tgt.flatten(), reduction="none")
        return (ce * w.flatten()).sum(), w.sum()

    def kd_loss(ids, tgt, w, doc, mask):
        with torch.autocast(a.device, dtype=torch.bfloat16, enabled=cuda):
            with torch.no_grad():
                tl = teacher.logits(teacher(ids, doc, flex, mask))
            lg = model.logits(model(ids, doc, flex, mask))
        lp = F.log_softmax(lg.float().flatten(0, 1), -1)
        tp = F.softmax(tl.float().flatten(0, 1), -1)
        ce = -lp.gather(1, tgt.flatten()[:, None])[:, 0]
        kl = -(tp * lp).sum(-1)                       # cross entropy with the teacher
        return ((0.2 * ce + 0.8 * kl) * w.flatten()).sum(), w.sum()

    comp = torch.compile if cuda else (lambda f, **k: f)
    eval_fn = comp(ce_loss, dynamic=False)
    loss_fn = comp(kd_loss, dynamic=False) if teacher is not None else eval_fn
    mats = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    ids_m = {id(p) for p in mats}
    rest = [p for p in model.parameters() if id(p) not in ids_m]
    muon = Muon(mats, a.lr, ns=comp(newton_schulz, dynamic=False))
    adam = torch.optim.AdamW(rest, lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0, **({"fused": True} if cuda else {}))

    def train_step(rows):
        ids, tgt, w, doc = unpack(rows, a.chat_weight)
        s, c = loss_fn(ids, tgt, w, doc, make_mask(doc))
        (s / c).backward()
        gn = torch.nn.utils.clip_grad_norm_(rest, 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
        return s, c, gn, ids.numel()

    t_start = time.time()
    if a.wait:                                         # compile while the data are being built
        keep = {k: v.clone() for k, v in model.state_dict().items()}
        rr = random_rows(a.rows, 4097 if cuda else 257)
        for _ in range(3):
            train_step(rr)
        model.load_state_dict(keep)
        muon.reset()
        adam.state.clear()
        ns, npre = map(int, a.wait.split(","))
        print("compiled after", round(time.time() - t_start, 1), "s", flush=True)
        while len(list(a.data.glob("sft_*.npy"))) < ns or len(list(a.data.glob("pre_*.npy"))) < npre:
            time.sleep(0.5)
        print("data ready after", round(time.time() - t_start, 1), "s", flush=True)
    if a.smoke:
        pre = chat = random_rows()
        vals = {}
    else:
        pre = load_rows(sorted(a.data.glob("pre_*.npy")), a.device)
        chat = load_rows(sorted(a.data.glob("sft_*.npy")), a.device)
        vals = {}
        if not a.no_eval:
            vals = {f.stem[4:]: load_rows([f], a.device) for f in sorted(a.data.glob("val_*.npy"))}
            vals["text"] = load_rows(sorted(a.data.glob("preval_*.npy")), a.device)[:48]
    print("rows: text", len(pre), "chat", len(chat), "val", {k: len(v) for k, v in vals.items()}, flush=True)

    @torch.no_grad()
    def evaluate():
        out = {}
        for k, v in vals.items():
            s = n = 0.0
            for i in range(0, len(v), a.rows):
                rows = v[i:i + a.rows]
                if len(rows) < a.rows:                 # keep one compiled shape
                    rows = torch.cat([rows, torch.zeros(a.rows - len(rows), rows.shape[1], dtype=rows.dtype, device=rows.device)])
                ids, tgt, w, doc = unpack(rows, 1.0)
                l, c = eval_fn(ids, tgt, w, doc, make_mask(doc))
                s += l.item()
                n += c.item()
            out[k] = round(s / max(n, 1), 4)
        return out

    gen = torch.Generator().manual_seed(a.seed)
    perm, pos = torch.randperm(len(pre), generator=gen), 0
    cpos, cepoch = 0, 0
    m0, sw, m1 = map(float, a.mix.split(","))
    rng = np.random.default_rng(a.seed)
    t0 = None
    tokens = step = text_rows = 0
    next_eval = 0.0
    log = []
    while step < a.steps:
        p = 0.0 if t0 is None else (time.time() - t0) / a.seconds
        if p >= 1:
            break
        lr = a.lr * min(1.0, (step + 1) / 150) * (0.5 * (1 + math.cos(math.pi * min(p, 1))) * 0.99 + 0.01)
        muon.lr = lr
        for g in adam.param_groups:
            g["lr"] = lr
        share = m0 if p < sw else m1
        nc = int(a.rows * share) + (rng.random() < a.rows * share % 1)
        nt = a.rows - nc
        if pos + nt > len(perm):
            perm, pos = torch.randperm(len(pre), generator=gen), 0
        if cpos + nc > len(chat):
            cpos, cepoch = 0, cepoch + 1
        rows = torch.cat([pre[perm[pos:pos + nt].to(pre.device)], chat[cpos:cpos + nc]])
        pos, cpos, text_rows = pos + nt, cpos + nc, text_rows + nt
        s, c, gn, n_tok = train_step(rows)
        step += 1
        tokens += n_tok
        if step == 5:                                  # compiled; the clock starts here
            t0, tok0 = time.time(), tokens
            if a.until:
                a.seconds = a.until - t0
                print("training for", round(a.seconds), "s", flush=True)
            print("compile+5 steps", round(t0 - t_start, 1), "s", flush=True)
        if step % 100 == 0 or a.smoke and step % 10 == 0 or not cuda:
            el = time.time() - (t0 or t_start)
            tps = (tokens - (tok0 if t0 else 0)) / max(el, 1e-6)
            print(f"step {step} p {p:.3f} loss {(s / c).item():.4f} lr {lr:.2e} gn {gn.item():.2f} tok {tokens / 1e6:.0f}M {tps / 1e6:.3f}M tok/s", flush=True)
        if vals and p >= next_eval and step > 5:
            e = evaluate()
            log.append({"p": p, "step": step, "tokens": tokens, **e})
            print("eval", json.dumps(log[-1]), flush=True)
            next_eval += 0.125
    e = evaluate() if vals else {}
    print("final", step, tokens / 1e6, "Mtok", json.dumps(e), "chat epochs", round(cepoch + cpos / len(chat), 2), "text epochs", round(text_rows / len(pre), 2), flush=True)
    if cuda:
        print("peak GB", torch.cuda.max_memory_allocated() / 1e9)
    a.out.mkdir(parents=True, exist_ok=True)
    torch.save({k: v.half() for k, v in model.state_dict().items()}, a.out / f"{a.config}.pt")
    (a.out / f"{a.config}.log.json").write_text(json.dumps({"args": {k: str(v) for k, v in vars(a).items()}, "log": log, "final": e, "tokens": tokens, "steps": step}))


if __name__ == "__main__":
    main()
