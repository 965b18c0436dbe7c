#!/usr/bin/env python3
"""Makes tests/fixtures/model/: tiny random Mistrals, PEFT adapters, and what transformers and PEFT compute with them in fp32.

usage: make_model_fixtures.py [OUT]        needs torch, transformers, peft, safetensors

  tiny/      BF16, 3 layers, grouped heads, head_dim unlike hidden/heads, one file
  sharded/   F16, 2 layers, tied embeddings, shards with an index, theta at the top level of config.json
  old/       F32, 1 layer, config.json as short as transformers' defaults allow
  adapters/  NAME/ as PEFT saves it, for tiny/
  expected.safetensors   F32 arrays; integers are written as floats
"""
import json
import os
import shutil
import sys

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

torch.set_num_threads(2)
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "fixtures", "model")
VOCAB, TOKENS, PROMPT, GREEDY = 160, 24, 5, 64
EXPECTED = {}


def config(**overrides):
    values = dict(vocab_size=VOCAB, hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                  num_key_value_heads=2, head_dim=16, max_position_embeddings=128, rms_norm_eps=1e-5, sliding_window=None,
                  rope_parameters={"rope_theta": 1e6, "rope_type": "default"}, attn_implementation="eager")
    values.update(overrides)
    return transformers.MistralConfig(**values)


def random_model(cfg, dtype, seed):
    """Weights large enough that attention is far from uniform and logits are a few units wide; representable in dtype."""
    torch.manual_seed(seed)
    model = transformers.MistralForCausalLM(cfg)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.copy_(1 + 0.2 * torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) * 1.3 / p.shape[1] ** 0.5)
            p.copy_(p.to(dtype).float())
    return model.eval()


def weights(model, dtype):
    tied = model.config.tie_word_embeddings
    return {n: p.detach().to(dtype).contiguous() for n, p in model.named_parameters() if not (tied and n == "lm_head.weight")}


def write_config(folder, values):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(values, f, indent=2)
        f.write("\n")


def mistral_keys(cfg, **extra):
    keys = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"]
    return {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **{k: getattr(cfg, k) for k in keys}, **extra}


def expect(name, value):
    EXPECTED[name] = torch.as_tensor(value).detach().float().contiguous()


def expect_logits(prefix, model, ids):
    expect(prefix + ".ids", ids[0])
    expect(prefix + ".logits", model(ids).logits[0])


def make_tiny():
    cfg = config()
    folder = os.path.join(OUT, "tiny")
    model = random_model(cfg, torch.bfloat16, 1)
    write_config(folder, mistral_keys(cfg, head_dim=16, max_position_embeddings=128, rms_norm_eps=1e-5, sliding_window=None,
                                      rope_parameters=dict(rope_theta=1e6, rope_type="default"), tie_word_embeddings=False,
                                      bos_token_id=1, eos_token_id=2, hidden_act="silu", dtype="bfloat16"))
    save_file(weights(model, torch.bfloat16), os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    return model


def make_sharded():
    cfg = config(num_hidden_layers=2, hidden_size=32, head_dim=None, intermediate_size=40, tie_word_embeddings=True,
                 rope_parameters={"rope_theta": 5000.0, "rope_type": "default"})
    folder = os.path.join(OUT, "sharded")
    model = random_model(cfg, torch.float16, 2)
    write_config(folder, mistral_keys(cfg, head_dim=None, max_position_embeddings=128, rms_norm_eps=1e-5, sliding_window=None,
                                      rope_theta=5000.0, rope_scaling=None, tie_word_embeddings=True, torch_dtype="float16"))
    all_weights, shards, index = weights(model, torch.float16), [{}, {}, {}], {}
    for i, name in enumerate(sorted(all_weights)):
        shards[i % 3][name] = all_weights[name]
        index[name] = f"model-{i % 3 + 1:05d}-of-00003.safetensors"
    for i, shard in enumerate(shards):
        save_file(shard, os.path.join(folder, f"model-{i + 1:05d}-of-00003.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": sum(t.numel() * 2 for t in all_weights.values())}, "weight_map": index}, f, indent=2)
        f.write("\n")
    return model


def make_old():
    """Absent keys: epsilon 1e-6, theta 10000, window 4096, head_dim by division; plain multi-head attention."""
    keys = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4,
                num_key_value_heads=4)
    cfg = transformers.MistralConfig(**keys, attn_implementation="eager")
    folder = os.path.join(OUT, "old")
    model = random_model(cfg, torch.float32, 3)
    write_config(folder, {"model_type": "mistral", **keys})
    save_file(weights(model, torch.float32), os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    return model


def greedy(model, ids):
    """Argmax by full forwards; returns the ids and the smallest lead of the best logit, which must dwarf fp32 noise."""
    lead = 1e9
    for _ in range(GREEDY):
        best = model(ids).logits[0, -1].topk(2)
        lead = min(lead, float(best.values[0] - best.values[1]))
        ids = torch.cat([ids, best.indices[:1].unsqueeze(0)], 1)
    return ids[0, -GREEDY:], lead


def expect_greedy(model):
    """From the first prompt whose continuation is not decided by a near-tie anywhere."""
    for seed in range(100):
        prompt = torch.randint(0, VOCAB, (1, PROMPT), generator=torch.Generator().manual_seed(seed))
        out, lead = greedy(model, prompt)
        if lead > 5e-3 and len(set(out.tolist())) > 20:
            print(f"greedy: prompt {seed}: the best logit leads by at least {lead:.4f}, {len(set(out.tolist()))} different tokens")
            expect("tiny.greedy_prompt", prompt[0])
            expect("tiny.greedy", out)
            return
    sys.exit("greedy: every prompt meets a near-tie")


ADAPTERS = {
    "all": dict(dtype=torch.float32, r=4, lora_alpha=10, use_rslora=True,
                target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "qv": dict(dtype=torch.bfloat16, r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"]),
    "mlp": dict(dtype=torch.float16, r=2, lora_alpha=5, lora_dropout=0.05, target_modules=["up_proj", "down_proj"]),
}


def sort_targets(path):
    """PEFT writes a set: sorted, the fixture is the same each time it is made."""
    with open(path) as f:
        values = json.load(f)
    values["target_modules"].sort()
    with open(path, "w") as f:
        json.dump(values, f, indent=2)
        f.write("\n")


def make_adapter(name, seed, batch):
    """A ragged batch of whole sequences, each run alone: the loss is the mean over all predicted tokens."""
    spec = dict(ADAPTERS[name])
    dtype = spec.pop("dtype")
    folder = os.path.join(OUT, "adapters", name)
    torch.manual_seed(seed)
    base = transformers.MistralForCausalLM.from_pretrained(os.path.join(OUT, "tiny"), dtype=torch.float32, attn_implementation="eager")
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", base_model_name_or_path="tiny", **spec)).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_((torch.randn_like(p) * 0.3).to(dtype).float())
    model.peft_config["default"].base_model_name_or_path = "tiny"
    model.save_pretrained(folder)
    file = os.path.join(folder, "adapter_model.safetensors")
    save_file({n: t.to(dtype) for n, t in load_file(file).items()}, file, metadata={"format": "pt"})
    os.remove(os.path.join(folder, "README.md"))
    sort_targets(os.path.join(folder, "adapter_config.json"))

    loss, count = 0, 0
    for ids in batch:
        logits = model(ids).logits[0, :-1]
        loss = loss + torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
        count += ids.shape[1] - 1
    loss = loss / count
    loss.backward()
    expect(f"{name}.logits", model(batch[1]).logits[0])
    expect(f"{name}.loss", loss.reshape(1))
    for n, p in model.named_parameters():
        if p.grad is not None:
            expect(f"{name}.grad.{n.replace('.default', '')}", p.grad)


def main():
    for part in ("tiny", "sharded", "old", "adapters"):
        shutil.rmtree(os.path.join(OUT, part), ignore_errors=True)
    os.makedirs(OUT, exist_ok=True)
    models = {"tiny": make_tiny(), "sharded": make_sharded(), "old": make_old()}
    ids = torch.randint(0, VOCAB, (1, TOKENS), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        for name, model in models.items():
            expect_logits(name, model, ids if name == "tiny" else ids[:, :12])
        expect_greedy(models["tiny"])
    batch = [ids, ids[:, 3:10], ids[:, 11:13]]
    for seed, name in enumerate(ADAPTERS):
        make_adapter(name, 10 + seed, batch)
    save_file(EXPECTED, os.path.join(OUT, "expected.safetensors"), metadata={"format": "pt"})


if __name__ == "__main__":
    main()
