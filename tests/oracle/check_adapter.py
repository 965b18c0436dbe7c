#!/usr/bin/env python3
"""Does PEFT read an adapter of minuano's as minuano does? Scores random token ids with both.

usage: check_adapter.py MINUANO MODEL ADAPTER        MINUANO is the built program; needs torch, transformers, peft

Every log-probability must agree within 1e-4. On the reference device both sides compute in fp32.
"""
import json
import os
import subprocess
import sys
import tempfile

import peft
import torch
import transformers

torch.set_num_threads(2)


def peft_logprobs(model_folder, adapter_folder, ids):
    base = transformers.MistralForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager")
    model = peft.PeftModel.from_pretrained(base, adapter_folder).eval()
    assert any("lora_B" in n and p.abs().sum() > 0 for n, p in model.named_parameters()), "the adapter does nothing"
    with torch.no_grad():
        logs = model(ids.unsqueeze(0)).logits[0].log_softmax(-1)
    return logs[:-1].gather(1, ids[1:, None])[:, 0]


def minuano_logprobs(program, model_folder, adapter_folder, ids):
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.jsonl")
        with open(source, "w") as f:
            f.write(json.dumps({"prompt_ids": ids[:1].tolist(), "completion_ids": ids[1:].tolist()}) + "\n")
        subprocess.run([program, "score", "--model", model_folder, "--adapter", adapter_folder, "--input", source, "--output",
                        target, "--device", "reference", "--threads", "2", "--quiet"], check=True)
        with open(target) as f:
            return torch.tensor(json.loads(f.readline())["logprobs"])


def main():
    program, model_folder, adapter_folder = sys.argv[1:4]
    with open(os.path.join(model_folder, "config.json")) as f:
        vocab = json.load(f)["vocab_size"]
    ids = torch.randint(0, vocab, (40,), generator=torch.Generator().manual_seed(0))
    theirs = peft_logprobs(model_folder, adapter_folder, ids)
    ours = minuano_logprobs(program, model_folder, adapter_folder, ids)
    worst = float((theirs - ours).abs().max())
    print(f"largest difference of {len(ours)} log-probabilities: {worst:.2e}")
    sys.exit(0 if worst <= 1e-4 else 1)


if __name__ == "__main__":
    main()
