#!/usr/bin/env python3
"""Holds minuano against transformers and PEFT on random weights in Mistral-7B's shape, in one run on one GPU:

    scores      log-probabilities of given tokens, base with adapter
    gradients   loss and every LoRA gradient of one step
    training    30 steps with dropout, beside PEFT under two seeds
    generation  64 greedy replies

The judge is transformers + PEFT in fp32 on the same bf16 weights: minuano's error may be at most 1.2 times that of
transformers + PEFT in bf16. Greedy replies must agree up to near-ties: steps at which the two best tokens of the fp32 model
are closer than the bf16 models' own error.

usage: parity_7b.py --minuano build/release/minuano --work DIR [--shape tiny] [--device cuda|reference]

Needs torch, transformers, peft, safetensors; about 45 GB of GPU memory at 7B, 16 GB of disk. --shape tiny tries the script
itself on any machine.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import MistralConfig, MistralForCausalLM

from make_train_fixtures import permutation

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]
RANK, ALPHA, SEED = 16, 32, 42
SHAPES = {
    "mistral-7b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                       num_key_value_heads=8, head_dim=128, vocab_size=32768),
    "tiny": dict(hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4,
                 num_key_value_heads=2, head_dim=64, vocab_size=1024),
}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Bench:
    """Where things lie, and the two programs."""

    def __init__(self, arguments):
        self.minuano, self.device = arguments.minuano, arguments.device
        self.folder = pathlib.Path(arguments.work)
        self.place = "cuda" if torch.cuda.is_available() else "cpu"
        self.shape = SHAPES[arguments.shape]
        self.vocab = self.shape["vocab_size"]
        self.failed = []

    def run(self, *words):
        started = time.time()
        subprocess.run([self.minuano, *map(str, words), "--device", self.device, "--quiet"], check=True)
        print(f"  minuano {words[0]}: {time.time() - started:.1f} s")

    def load(self, dtype, adapter=None):
        model = MistralForCausalLM.from_pretrained(self.folder / "model", dtype=dtype, attn_implementation="sdpa")
        model = model.to(self.place)
        if adapter:
            model = PeftModel.from_pretrained(model, self.folder / adapter, is_trainable=True)
        return model

    def check(self, what, holds):
        print(f"{'holds' if holds else 'FAILS'}: {what}", flush=True)
        if not holds:
            self.failed.append(what)


def make(bench):
    """Model and adapter, B not zero so that every gradient is alive."""
    torch.manual_seed(1)
    config = MistralConfig(**bench.shape, max_position_embeddings=32768, rms_norm_eps=1e-5, rope_theta=1e6,
                           sliding_window=None, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
    with torch.device(bench.place):
        model = MistralForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(bench.folder / "model")
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS, bias="none",
                      task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    model.peft_config["default"].base_model_name_or_path = "random"
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.02)
    model.save_pretrained(bench.folder / "adapter")


def examples(bench, count, low, high, seed):
    """Sequences with a pattern that can be learned, ragged."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        length = int(torch.randint(low, high + 1, (1,), generator=draw))
        ids = torch.randint(3, bench.vocab, (length,), generator=draw)
        follow = torch.rand(length, generator=draw) < 0.8
        for i in range(1, length):
            if follow[i]:
                ids[i] = (5 * ids[i - 1] + 1) % bench.vocab
        rows.append({"ids": ids.tolist(), "loss_mask": [0] * 8 + [1] * (length - 8)})
    return rows


def token_logprobs(model, row, place):
    ids = torch.tensor([row["ids"]], device=place)
    logits = model(ids).logits[0, :-1].float()
    return torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None])[:, 0]


def oracle_pass(bench, dtype, rows):
    """Log-probabilities of all tokens, loss and LoRA gradients of one step over the rows."""
    model = bench.load(dtype, "adapter").eval()
    count = sum(sum(row["loss_mask"][1:]) for row in rows)
    logprobs, loss = [], 0.0
    for row in rows:
        found = token_logprobs(model, row, bench.place)
        mask = torch.tensor(row["loss_mask"][1:], dtype=torch.bool, device=bench.place)
        part = -found[mask].sum() / count
        part.backward()
        loss += part.item()
        logprobs.append(found.detach().cpu())
    gradients = {name.replace("base_model.model.", "", 1).replace(".default", ""): weight.grad.float().cpu()
                 for name, weight in model.named_parameters() if weight.grad is not None}
    del model
    torch.cuda.empty_cache()
    return torch.cat(logprobs), loss, gradients


def gradient_names(bench):
    """Names and shapes in the order of minuano's flat array: layer, fused linear, A parts, B parts."""
    hidden, head = bench.shape["hidden_size"], bench.shape["head_dim"]
    q, kv = bench.shape["num_attention_heads"] * head, bench.shape["num_key_value_heads"] * head
    fused = [[("q_proj", hidden, q), ("k_proj", hidden, kv), ("v_proj", hidden, kv)], [("o_proj", q, hidden)]]
    for layer in range(bench.shape["num_hidden_layers"]):
        for parts in fused:
            for side in "AB":
                for name, wide, tall in parts:
                    yield (f"model.layers.{layer}.self_attn.{name}.lora_{side}.weight",
                           (RANK, wide) if side == "A" else (tall, RANK))


def minuano_pass(bench, rows):
    folder = bench.folder
    write_lines(folder / "score.jsonl", [{"prompt_ids": row["ids"][:1], "completion_ids": row["ids"][1:]} for row in rows])
    bench.run("score", "--model", folder / "model", "--adapter", folder / "adapter", "--input", folder / "score.jsonl",
              "--output", folder / "scores.jsonl")
    logprobs = torch.cat([torch.tensor(line["logprobs"]) for line in read_lines(folder / "scores.jsonl")])
    train(bench, "one", rows, steps=1, batch=len(rows), dropout=0.0, max_grad_norm=0.0)
    loss = read_lines(folder / "one/metrics.jsonl")[0]["loss"]
    flat = load_file(folder / "one/checkpoints/step-1/optimizer.safetensors")["m"] / 0.1  # m = (1 - beta1) * gradient
    gradients, at = {}, 0
    for name, shape in gradient_names(bench):
        size = shape[0] * shape[1]
        gradients[name] = flat[at:at + size].view(shape)
        at += size
    assert at == flat.numel()
    return logprobs, loss, gradients


def train(bench, name, rows, steps, batch, dropout, max_grad_norm):
    folder = bench.folder
    shutil.rmtree(folder / name, ignore_errors=True)
    write_lines(folder / f"{name}.jsonl", rows)
    config = {
        "model": str(folder / "model"), "output": str(folder / name), "data": {"jsonl": str(folder / f"{name}.jsonl")},
        "lora": {"rank": RANK, "alpha": ALPHA, "dropout": dropout, "targets": TARGETS, "initial": str(folder / "adapter")},
        "train": {"steps": steps, "batch": batch, "accumulation": 1, "max_length": 4096, "learning_rate": 1e-4,
                  "seed": SEED, "max_grad_norm": max_grad_norm, "checkpoint_every": 1 if steps == 1 else 0},
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    bench.run("train", folder / f"{name}.json")


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def compare_scores_and_gradients(bench):
    rows = examples(bench, 8, 64, 512, seed=3)
    exact = oracle_pass(bench, torch.float32, rows)
    theirs = oracle_pass(bench, torch.bfloat16, rows)
    ours = minuano_pass(bench, rows)

    def rms(found):
        return (found[0] - exact[0]).pow(2).mean().sqrt().item()

    print(f"log-probabilities, rms error: minuano {rms(ours):.3e}, PEFT bf16 {rms(theirs):.3e}")
    bench.check("log-probabilities within 1.2 of PEFT's error", rms(ours) <= 1.2 * rms(theirs))
    tolerance = max(abs(theirs[1] - exact[1]), 2 * rms(theirs) / len(exact[0]) ** 0.5)
    print(f"loss: fp32 {exact[1]:.6f}, minuano {ours[1]:.6f}, PEFT bf16 {theirs[1]:.6f}")
    bench.check("loss within 1.2 of PEFT's error, or of twice its standard error", abs(ours[1] - exact[1]) <= 1.2 * tolerance)
    assert set(exact[2]) == set(ours[2]), set(exact[2]) ^ set(ours[2])
    for side in "AB":
        names = [name for name in exact[2] if f"lora_{side}" in name]
        stacked = [torch.cat([gradients[name].flatten() for name in names]) for _, _, gradients in (exact, theirs, ours)]
        error, their_error = relative(stacked[2], stacked[0]), relative(stacked[1], stacked[0])
        worst = max((relative(ours[2][name], exact[2][name]) / relative(theirs[2][name], exact[2][name]), name) for name in names)
        print(f"gradients of {side}, relative error: minuano {error:.3e}, PEFT bf16 {their_error:.3e}; "
              f"largest ratio of one tensor {worst[0]:.2f} ({worst[1]})")
        bench.check(f"gradients of {side} within 1.2 of PEFT's error", error <= 1.2 * their_error)


def peft_run(bench, rows, steps, batch, dropout, seed):
    torch.manual_seed(seed)
    model = bench.load(torch.bfloat16, "adapter")
    for module in model.modules():
        if hasattr(module, "lora_dropout") and dropout > 0:
            for name in module.lora_dropout:
                module.lora_dropout[name] = torch.nn.Dropout(dropout)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0)
    order, losses = permutation(SEED, 0, len(rows)), []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-4 * (steps - step) / steps
        chosen = [rows[i] for i in order[step * batch:(step + 1) * batch]]
        count, total = sum(sum(row["loss_mask"][1:]) for row in chosen), 0.0
        for row in chosen:
            mask = torch.tensor(row["loss_mask"][1:], dtype=torch.bool, device=bench.place)
            loss = -token_logprobs(model, row, bench.place)[mask].sum() / count
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    del model, optimizer
    torch.cuda.empty_cache()
    return torch.tensor(losses)


def compare_training(bench, steps=30, batch=4):
    rows = examples(bench, steps * batch, 128, 256, seed=5)
    first, second = (peft_run(bench, rows, steps, batch, 0.05, seed) for seed in (1, 2))
    train(bench, "thirty", rows, steps, batch, dropout=0.05, max_grad_norm=1.0)
    ours = torch.tensor([line["loss"] for line in read_lines(bench.folder / "thirty/metrics.jsonl")])
    spread, distance = (first - second).abs(), torch.minimum((ours - first).abs(), (ours - second).abs())
    print(f"30 steps: loss {first[0]:.4f} to {first[-1]:.4f}; between two PEFT seeds: mean {spread.mean():.2e}, "
          f"largest {spread.max():.2e}; minuano to the nearer: mean {distance.mean():.2e}, largest {distance.max():.2e}")
    bench.check("the loss curve stays within the spread of two seeds", distance.mean() <= spread.mean() and
                distance.max() <= 1.2 * spread.max())


def compare_generation(bench, count=64, prompt=32, new=64):
    """Replies leave each other only at near-ties. A difference of two logits is off by sqrt(2) times the error of one, which
    is measured here over all logits; a step is a near-tie when fp32's best two are closer than four times that: the
    replies have some thousand steps at which they may part."""
    draw = torch.Generator().manual_seed(9)
    prompts = torch.randint(3, bench.vocab, (count, prompt), generator=draw)
    write_lines(bench.folder / "prompts.jsonl", [{"prompt_ids": ids} for ids in prompts.tolist()])
    (bench.folder / "replies.jsonl").unlink(missing_ok=True)
    bench.run("generate", "--model", bench.folder / "model", "--input", bench.folder / "prompts.jsonl", "--output",
              bench.folder / "replies.jsonl", "--max-new-tokens", new)
    ours = [line["ids"] for line in read_lines(bench.folder / "replies.jsonl")]
    model = bench.load(torch.bfloat16).eval()
    prompts = prompts.to(bench.place)
    with torch.no_grad():
        rough = model(prompts).logits.float()
        theirs = model.generate(prompts, max_new_tokens=new, do_sample=False, pad_token_id=2)[:, prompt:].tolist()
    del model
    model = bench.load(torch.float32).eval()
    with torch.no_grad():
        error = (rough - model(prompts).logits).pow(2).mean().sqrt().item()
    same, margins = 0, []
    for ids, mine, other in zip(prompts.tolist(), ours, theirs):
        other = other[:other.index(2)] if 2 in other else other
        if mine == other:
            same += 1
            continue
        at = next((i for i, (a, b) in enumerate(zip(mine, other)) if a != b), min(len(mine), len(other)))
        with torch.no_grad():
            best = model(torch.tensor([ids + mine[:at]], device=bench.place)).logits[0, -1].topk(2).values
        margins.append((best[0] - best[1]).item())
    limit = 4 * 2**0.5 * error
    near = sum(margin < limit for margin in margins)
    print(f"generation: {same} of {count} replies identical, {near} leave at a near-tie (fp32's best two closer than "
          f"{limit:.3f}; the widest were {max(margins, default=0):.3f} apart); rms error of a bf16 logit {error:.3f}")
    bench.check("replies agree up to near-ties", same + near == count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minuano", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--shape", default="mistral-7b", choices=SHAPES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="*", choices=["scores", "training", "generation"])
    arguments = parser.parse_args()
    bench = Bench(arguments)
    bench.folder.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    make(bench)
    parts = {"scores": compare_scores_and_gradients, "training": compare_training, "generation": compare_generation}
    for name in arguments.only or parts:
        parts[name](bench)
    print(f"{len(bench.failed)} failed" if bench.failed else "all hold")
    raise SystemExit(bool(bench.failed))


if __name__ == "__main__":
    main()
