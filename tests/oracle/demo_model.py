"""Makes checkpoints/demo: a tokenizer and a Mistral of 3 M weights, in Hugging Face's layout.

    python3 tests/oracle/demo_model.py    # both; two minutes on an H200
    python3 tests/oracle/demo_model.py --steps 20 --documents 2000 --out /tmp/demo    # a trial

Needs torch, transformers, sentencepiece and safetensors; the text comes from demo_text.py. The same
seed gives the same tokenizer and token ids everywhere, but not the same bits of weights: sums on a
GPU differ. The committed weights are of a run with `--seconds 135`, which ended after 2465 steps.
"""

import argparse
import io
import itertools
import json
import math
import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from safetensors.torch import save_file
from transformers import MistralConfig, MistralForCausalLM

import demo_spider
import demo_text

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "checkpoints" / "demo"

UNK, BOS, EOS, BEGIN, END = range(5)
VOCABULARY = 1024
CONFIG = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "intermediate_size": 384,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 1024,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "sliding_window": None,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "use_cache": True,
    "torch_dtype": "bfloat16",
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "LlamaTokenizer",
    "add_bos_token": True,
    "add_eos_token": False,
    "add_prefix_space": True,
    "legacy": True,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": None,
    "model_max_length": 1024,
    "clean_up_tokenization_spaces": False,
    "added_tokens_decoder": {
        str(i): {
            "content": piece,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for i, piece in enumerate(("<unk>", "<s>", "</s>", "[INST]", "[/INST]"))
    },
}
BUCKETS = (48, 80, 112, 144, 176, 208, 256)  # documents are padded to the next of these lengths
ANSWER_WEIGHT = 8.0  # of the letter after "Answer:" in the loss


# -------------------------------------------------------------------------------------- tokenizer


def train_tokenizer(path, seed):
    """BPE trained on lines of the text, so that a newline is the byte 0x0A, as in Mistral."""
    writer = demo_text.Writer(seed, rare=0.1)
    parts = [part for _ in range(20000) for part in writer.document() + writer.note()]
    first = [part.split("\n")[0] for part in parts]
    later = [line for part in parts for line in part.split("\n")[1:] if line]
    lines = first + [
        f"({line}" for line in later
    ]  # the bracket keeps a space off the word that opens a line
    lines += [f"{demo_text.TASK} (Question: (Answer: {letter}" for letter in "ABCD"] * 2000
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,  # a file would carry its own path
        model_type="bpe",
        vocab_size=VOCABULARY,
        byte_fallback=True,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        pad_id=-1,
        control_symbols=[demo_text.BEGIN, demo_text.END],
        normalization_rule_name="identity",
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        split_digits=True,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=1,
    )
    path.write_bytes(model.getvalue())
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert tokenizer.vocab_size() == VOCABULARY
    assert [tokenizer.id_to_piece(i) for i in (UNK, BOS, EOS, BEGIN, END)] == [
        "<unk>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
    ]
    assert all(tokenizer.piece_to_id(f"▁{letter}") != UNK for letter in "ABCD")
    return tokenizer


def encode(tokenizer, document):
    """BOS, the parts of a document, EOS."""
    control = {demo_text.BEGIN: BEGIN, demo_text.END: END}
    ids = [BOS]
    for part in document:
        ids += [control[part]] if part in control else tokenizer.encode(part)
    return ids + [EOS]


def encode_documents(task):
    path, seed, count, rare = task
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    writer = demo_text.Writer(seed, rare)
    return [np.array(encode(tokenizer, writer.document()), dtype=np.int16) for _ in range(count)]


def corpus(path, seed, count, workers, rare):
    """All documents as ids: 64 parts with a seed each, whatever the number of workers."""
    parts = 64
    with Pool(workers) as pool:
        tasks = [(path, f"{seed}.{part}", math.ceil(count / parts), rare) for part in range(parts)]
        return list(itertools.chain.from_iterable(pool.map(encode_documents, tasks, chunksize=1)))


# ---------------------------------------------------------------------------------------- weights


class Batches:
    """Endless batches of about the same number of tokens, each from one bucket of lengths."""

    def __init__(self, documents, tokens, letters, colon, device, seed):
        self.rng = np.random.default_rng(seed)
        self.tokens, self.device = tokens, device
        self.buckets = {}
        for document in documents:
            width = next((b for b in BUCKETS if b >= len(document)), None)
            if width:
                self.buckets.setdefault(width, []).append(document)
        for width, rows in self.buckets.items():
            ids = np.zeros((len(rows), width), dtype=np.int64)
            weights = np.zeros((len(rows), width), dtype=np.float32)
            for i, row in enumerate(rows):
                ids[i, : len(row)] = row
                weights[i, 1 : len(row)] = 1.0
            answers = np.isin(ids[:, 1:], letters) & (ids[:, :-1] == colon)
            weights[:, 1:][answers] = ANSWER_WEIGHT
            self.buckets[width] = (
                torch.from_numpy(ids).to(device),
                torch.from_numpy(weights).to(device),
            )
        sizes = np.array([ids.numel() for ids, _ in self.buckets.values()], dtype=np.float64)
        self.widths, self.shares = list(self.buckets), sizes / sizes.sum()

    def __iter__(self):
        while True:
            width = self.widths[self.rng.choice(len(self.widths), p=self.shares)]
            ids, weights = self.buckets[width]
            rows = torch.from_numpy(
                self.rng.integers(0, len(ids), max(1, self.tokens // width))
            ).to(self.device)
            yield ids[rows], weights[rows]


def weighted_loss(model, ids, weights):
    """Causal attention never looks at the padding on the right, so no mask is needed."""
    states = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    weights = weights[:, 1:]
    chosen = weights > 0
    losses = torch.nn.functional.cross_entropy(
        model.lm_head(states[chosen]).float(), ids[:, 1:][chosen], reduction="none"
    )
    return (losses * weights[chosen]).sum() / weights.sum()


def factor(step, steps):
    """Warm-up over 2 % of the steps, then a line down to zero."""
    warm = max(1, steps // 50)
    return (step + 1) / warm if step < warm else (steps - step) / (steps - warm)


def pretrain(tokenizer, documents, args, device):
    torch.manual_seed(args.seed)
    config = {
        k: v for k, v in CONFIG.items() if k not in ("architectures", "model_type", "torch_dtype")
    }
    model = MistralForCausalLM(MistralConfig(**config)).to(device=device, dtype=torch.float32)
    print(
        f"{sum(p.numel() for p in model.parameters()):,} weights, "
        f"{len(documents):,} documents, {sum(map(len, documents)):,} tokens"
    )
    letters = [tokenizer.piece_to_id(f"▁{letter}") for letter in "ABCD"]
    batches = iter(
        Batches(
            documents, args.batch_tokens, letters, tokenizer.piece_to_id(":"), device, args.seed
        )
    )
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), fused=device == "cuda")
    started, step = time.time(), 0
    steps, mean = args.steps, 0.0
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = args.lr * factor(step, steps)
        ids, weights = next(batches)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            loss = weighted_loss(model, ids, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean = loss.detach() if step == 0 else 0.95 * mean + 0.05 * loss.detach()
        step += 1
        if step % 100 == 0 or step == steps:
            seconds = time.time() - started
            print(f"step {step}/{steps}  loss {float(mean):.4f}  {seconds:.0f} s", flush=True)
            if args.seconds:  # the schedule ends in time, whatever the speed
                steps = min(args.steps, max(step, int(step / seconds * args.seconds)))
    return model


def save(model, out):
    """Weights in bf16 under Hugging Face's names, config.json and tokenizer_config.json."""
    weights = {
        name: p.detach().to("cpu", torch.bfloat16).contiguous()
        for name, p in model.state_dict().items()
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=demo_spider.SEED)
    parser.add_argument("--documents", type=int, default=100000)
    parser.add_argument("--rare", type=float, default=demo_text.RARE)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument(
        "--seconds", type=float, default=0, help="shorten the schedule to this time"
    )
    parser.add_argument("--batch-tokens", type=int, default=32768)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--keep-tokenizer", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "tokenizer.model"
    tokenizer = (
        sentencepiece.SentencePieceProcessor(model_file=str(path))
        if args.keep_tokenizer
        else train_tokenizer(path, args.seed)
    )
    documents = corpus(path, args.seed, args.documents, args.workers, args.rare)
    save(pretrain(tokenizer, documents, args, args.device), args.out)


if __name__ == "__main__":
    main()
