#!/usr/bin/env python3
"""Makes tests/fixtures/train/: a random Mistral, examples, a PEFT adapter, and what 20 training steps of
transformers + PEFT + torch make of it; and learning rates of transformers' schedules.

usage: make_train_fixtures.py tests/fixtures/train       (torch, transformers, peft, safetensors; CPU, fp32)

The recipe: dropout 0, batch 3, accumulation 2, clip 1.0, linear schedule with warm-up, ragged lengths, the loss
of a step = sum of token losses / number of loss tokens of the step. 32 examples: the last step of an epoch is short.
"""
import json
import math
import pathlib
import random
import shutil
import sys

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import MistralConfig, MistralForCausalLM

STEPS, WARMUP, BATCH, ACCUMULATION, LR, SEED = 20, 3, 3, 2, 1e-2, 42
SHUFFLE_STREAM = 4


def philox_word(seed, stream, index):
    """include/minuano/random.h: Philox4x32-10, word index & 3 of block index >> 2."""
    mask = 0xFFFFFFFF
    block = index >> 2
    c = [block & mask, block >> 32, stream & mask, stream >> 32]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c[index & 3]


def permutation(seed, epoch, count):
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        j = philox_word(seed, (SHUFFLE_STREAM << 32) | epoch, i) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def make_examples(vocab, count):
    draw = random.Random(7)
    examples = []
    for _ in range(count):
        length = draw.choice([2, 3, 7, 12, 18, 25, 33, 40])
        prompt = draw.randint(1, max(1, length - 1))
        # A pattern that can be learned: the next id is a function of the last.
        ids = [draw.randrange(3, vocab)]
        while len(ids) < length:
            ids.append((5 * ids[-1] + 1) % vocab if draw.random() < 0.8 else draw.randrange(vocab))
        examples.append({"ids": ids, "loss_mask": [0] * prompt + [1] * (length - prompt)})
    return examples


def make_model(folder):
    config = MistralConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                           num_key_value_heads=1, head_dim=64, vocab_size=128, max_position_embeddings=128,
                           rms_norm_eps=1e-5, rope_theta=10000.0, sliding_window=None, initializer_range=0.12,
                           attn_implementation="eager", tie_word_embeddings=False)
    model = MistralForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(0.1 * torch.randn_like(weight))
    model.to(torch.bfloat16).save_pretrained(folder)  # so that the file is small and every device holds the same
    (folder / "generation_config.json").unlink(missing_ok=True)
    return MistralForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def train(model, examples, steps):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, WARMUP, steps)
    per_step = BATCH * ACCUMULATION
    steps_per_epoch = math.ceil(len(examples) / per_step)
    log = []
    for step in range(steps):
        epoch, place = divmod(step, steps_per_epoch)
        order = permutation(SEED, epoch, len(examples))[place * per_step:(place + 1) * per_step]
        count = sum(sum(examples[i]["loss_mask"][1:]) for i in order)
        total = 0.0
        for i in order:
            ids = torch.tensor([examples[i]["ids"]])
            mask = torch.tensor(examples[i]["loss_mask"][1:], dtype=torch.bool)
            logits = model(ids).logits[0, :-1].double()
            loss = torch.nn.functional.cross_entropy(logits[mask], ids[0, 1:][mask], reduction="sum")
            (loss / count).backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        log.append({"step": step + 1, "loss": total / count, "learning_rate": schedule.get_last_lr()[0],
                    "grad_norm": norm.item(), "loss_tokens": count})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return log


def schedules():
    rows = []
    for name in ["linear", "cosine", "constant"]:
        for warmup, total in [(0, 75), (5, 75), (10, 40), (3, 20)]:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            kind = "constant_with_warmup" if name == "constant" else name
            schedule = transformers.get_scheduler(kind, optimizer, warmup, total)
            factors = []
            for _ in range(total):
                factors.append(schedule.get_last_lr()[0])
                optimizer.step()
                schedule.step()
            rows.append({"schedule": name, "warmup": warmup, "total": total, "factors": factors})
    return rows


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    torch.set_num_threads(2)
    base = make_model(folder / "model")
    examples = make_examples(base.config.vocab_size, 32)
    with open(folder / "examples.jsonl", "w") as out:
        for example in examples:
            out.write(json.dumps(example, separators=(",", ":")) + "\n")
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=modules,
                                            bias="none", task_type="CAUSAL_LM"))
    model.peft_config["default"].base_model_name_or_path = "random"
    model.save_pretrained(folder / "initial")
    model.train()
    log = train(model, examples, STEPS)
    model.save_pretrained(folder / "final")
    for name in ["initial", "final"]:
        (folder / name / "README.md").unlink(missing_ok=True)
    with open(folder / "expected.jsonl", "w") as out:
        for line in log:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    with open(folder / "schedules.json", "w") as out:
        json.dump(schedules(), out, separators=(",", ":"))


if __name__ == "__main__":
    main()
