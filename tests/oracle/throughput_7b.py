#!/usr/bin/env python3
"""Times transformers + PEFT on the jobs that `minuano bench` times, in the same run on the same GPU: random weights in
Mistral-7B's shape, random tokens, bf16, LoRA of rank 16 on q, k, v and o with dropout 0.05, eager PyTorch with its own
choice of attention. Medians of several.

usage: throughput_7b.py [--model DIR]        (torch, transformers, peft; about 100 GB of GPU memory)
"""
import argparse
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import MistralConfig, MistralForCausalLM

VOCAB = 32768


def load(folder):
    if folder:
        return MistralForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).cuda()
    config = MistralConfig(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                           num_key_value_heads=8, head_dim=128, vocab_size=VOCAB, rms_norm_eps=1e-5, rope_theta=1e6,
                           sliding_window=None)
    with torch.device("cuda"):
        return MistralForCausalLM(config).to(torch.bfloat16)


def seconds(work, times, warm=2):
    for _ in range(warm):
        work()
    found = []
    for _ in range(times):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def tokens(rows, length):
    return torch.randint(3, VOCAB, (rows, length), device="cuda")


def training_step(model, optimizer, micro_batches):
    for ids in micro_batches:
        model(input_ids=ids, labels=ids).loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    model = load(parser.parse_args().model).eval()
    with torch.no_grad():
        ids = tokens(16, 760)
        took = seconds(lambda: model(ids, logits_to_keep=1), 3)
        print(f"transformers score 16x760: {ids.numel() / took:,.0f} tokens/s", flush=True)
        prompts = tokens(64, 300)
        took = seconds(lambda: model.generate(prompts, min_new_tokens=40, max_new_tokens=40, do_sample=False,
                                              pad_token_id=2), 1, warm=1)
        print(f"transformers generate 64 x (300 + 40): {64 / took:.1f} examples/s", flush=True)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, task_type="CAUSAL_LM",
                                             target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for name, batches in [("8x1024", [tokens(8, 1024)]), ("16x512", [tokens(16, 512)]),
                          ("the seed's 4 x (4x83)", [tokens(4, 83) for _ in range(4)])]:
        took = seconds(lambda: training_step(model, optimizer, batches), 4)
        print(f"transformers + PEFT train {name}: {sum(b.numel() for b in batches) / took:,.0f} tokens/s", flush=True)


if __name__ == "__main__":
    main()
