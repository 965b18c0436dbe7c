#!/usr/bin/env python3
"""Makes tests/fixtures/wide/: random Mistrals in head sizes that the CUDA device has, what transformers and PEFT compute
with them in fp32, and how far from that the same programs are in bf16 on a GPU.

usage: make_wide_fixtures.py [OUT]        needs torch with a GPU, transformers, peft, safetensors

  wide64/    2 layers, two query heads on one kv head, head_dim 64
  wide128/   1 layer, likewise, head_dim 128
  all/       an adapter on every linear of wide64, as PEFT saves it
  expected.safetensors   F32 arrays; integers are written as floats. NAME.bf16 is a relative error: the norm of what
                         bf16 computed less what fp32 computed, by the norm of the latter
  bf16.json  loss and gradient norm of 20 steps of tests/fixtures/train/ with the base in bf16
"""
import json
import math
import os
import shutil
import sys

import peft
import torch
import transformers
from safetensors.torch import save_file

sys.argv, OUT = sys.argv[:1], sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "fixtures", "wide")
import make_model_fixtures as small  # noqa: E402
import make_train_fixtures as training  # noqa: E402

TRAIN = os.path.join(os.path.dirname(__file__), "..", "fixtures", "train")
VOCAB, TOKENS, PROMPTS, PROMPT, GREEDY = 160, 24, 1024, 5, 32
LORA = dict(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
EXPECTED = {}


def expect(name, value):
    EXPECTED[name] = torch.as_tensor(value).detach().float().cpu().contiguous()


def relative(found, exact):
    """Over all tensors of two lists."""
    error = sum(float((f.detach().double().cpu() - e.detach().double().cpu()).square().sum()) for f, e in zip(found, exact))
    return math.sqrt(error / sum(float(e.detach().double().cpu().square().sum()) for e in exact))


def make_model(name, layers, head_dim, seed):
    cfg = small.config(hidden_size=64, intermediate_size=96, num_hidden_layers=layers, num_attention_heads=2,
                       num_key_value_heads=1, head_dim=head_dim)
    folder = os.path.join(OUT, name)
    model = small.random_model(cfg, torch.bfloat16, seed)
    with torch.no_grad():  # softmaxes that are not saturated: gradients that bf16 can compute
        for n, p in model.named_parameters():
            p.mul_(0.25 if "lm_head" in n else 0.5 if "q_proj" in n or "k_proj" in n else 1)
    small.write_config(folder, small.mistral_keys(
        cfg, head_dim=head_dim, max_position_embeddings=128, rms_norm_eps=1e-5, sliding_window=None,
        rope_parameters=dict(rope_theta=1e6, rope_type="default"), tie_word_embeddings=False, bos_token_id=1,
        eos_token_id=2, hidden_act="silu", dtype="bfloat16"))
    save_file(small.weights(model, torch.bfloat16), os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def load(name, dtype):
    return transformers.MistralForCausalLM.from_pretrained(
        os.path.join(OUT, name), dtype=dtype, attn_implementation="eager").to("cuda").eval()


def expect_logits(name, ids):
    exact = load(name, torch.float32)(ids).logits[0]
    expect(f"{name}.ids", ids[0])
    expect(f"{name}.logits", exact)
    expect(f"{name}.logits.bf16", [relative([load(name, torch.bfloat16)(ids).logits[0]], [exact])])
    return float((load(name, torch.bfloat16)(ids).logits[0].float() - exact).square().mean().sqrt())


def expect_greedy(name, error):
    """Of many prompts the one whose continuation is decided most clearly: its best logit leads by many times bf16's error."""
    model = load(name, torch.float32)
    ids = torch.randint(0, VOCAB, (PROMPTS, PROMPT), generator=torch.Generator().manual_seed(0)).to("cuda")
    lead = torch.full((PROMPTS,), 1e9, device="cuda")
    for _ in range(GREEDY):
        best = model(ids).logits[:, -1].topk(2)
        lead = torch.minimum(lead, best.values[:, 0] - best.values[:, 1])
        ids = torch.cat([ids, best.indices[:, :1]], 1)
    for i in range(PROMPTS):
        if len(set(ids[i, PROMPT:].tolist())) < 12:
            lead[i] = 0
    best = int(lead.argmax())
    print(f"greedy: prompt {best}: the best logit leads by at least {lead[best]:.4f}, {lead[best] / error:.1f} times the "
          f"rms error of bf16; {len(set(ids[best, PROMPT:].tolist()))} different tokens")
    expect(f"{name}.greedy_prompt", ids[best, :PROMPT])
    expect(f"{name}.greedy", ids[best, PROMPT:])


def adapted(name, dtype, values=None):
    """values: of the adapter's parameters; None draws them."""
    model = peft.get_peft_model(load(name, dtype), peft.LoraConfig(task_type="CAUSAL_LM", base_model_name_or_path=name, **LORA))
    torch.manual_seed(20)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_(values[n] if values else (torch.randn(p.shape) * 0.1).bfloat16())
    return model.eval()


def run_adapted(model, batch):
    """Logits of the second sequence, loss over all, gradients by PEFT's names."""
    loss, count = 0, 0
    for ids in batch:
        logits = model(ids).logits[0, :-1].float()
        loss = loss + torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
        count += ids.shape[1] - 1
    loss = loss / count
    loss.backward()
    gradients = {n.replace(".default", ""): p.grad for n, p in model.named_parameters() if p.grad is not None}
    return model(batch[1]).logits[0], loss, gradients


def expect_adapter(name, batch):
    model = adapted(name, torch.float32)
    values = {n: p.detach().clone() for n, p in model.named_parameters() if "lora_" in n}
    logits, loss, gradients = run_adapted(model, batch)
    rough_logits, rough_loss, rough_gradients = run_adapted(adapted(name, torch.bfloat16, values), batch)
    expect("all.logits", logits)
    expect("all.logits.bf16", [relative([rough_logits], [logits])])
    expect("all.loss", loss.reshape(1))
    expect("all.loss.bf16", [abs(rough_loss.item() / loss.item() - 1)])
    for n, g in gradients.items():
        expect(f"all.grad.{n}", g)
    for part in ("lora_A", "lora_B"):
        names = [n for n in gradients if part in n]
        expect(f"all.grad.{part}.bf16", [relative([rough_gradients[n] for n in names], [gradients[n] for n in names])])
    model.peft_config["default"].base_model_name_or_path = name
    folder = os.path.join(OUT, "all")
    model.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "README.md")):
        os.remove(os.path.join(folder, "README.md"))
    small.sort_targets(os.path.join(folder, "adapter_config.json"))


def train_bf16():
    """The recipe of make_train_fixtures.py with the base in bf16 and PEFT's adapter in fp32."""
    base = transformers.MistralForCausalLM.from_pretrained(os.path.join(TRAIN, "model"), dtype=torch.bfloat16,
                                                           attn_implementation="eager")
    model = peft.PeftModel.from_pretrained(base, os.path.join(TRAIN, "initial"), is_trainable=True).train()
    with open(os.path.join(TRAIN, "examples.jsonl")) as f:
        examples = [json.loads(line) for line in f]
    log = training.train(model, examples, training.STEPS)
    with open(os.path.join(OUT, "bf16.json"), "w") as f:
        json.dump({key: [line[key] for line in log] for key in ("loss", "grad_norm")}, f, indent=2)
        f.write("\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    make_model("wide64", 2, 64, 5)
    make_model("wide128", 1, 128, 6)
    ids = torch.randint(0, VOCAB, (1, TOKENS), generator=torch.Generator().manual_seed(7)).to("cuda")
    with torch.no_grad():
        error = expect_logits("wide64", ids)
        expect_logits("wide128", ids)
        expect_greedy("wide64", error)
    expect_adapter("wide64", [ids, ids[:, 3:10], ids[:, 11:13]])
    train_bf16()
    save_file(EXPECTED, os.path.join(OUT, "expected.safetensors"), metadata={"format": "pt"})
    print({n: float(v) for n, v in EXPECTED.items() if n.endswith(".bf16")})


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = False
    main()
