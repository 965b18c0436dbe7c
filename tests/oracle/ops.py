"""Golden numbers of ops: AdamW by torch, NF4 by the definition in bitsandbytes' kernels.

    python tests/oracle/ops.py      # writes tests/fixtures/ops/{adamw,nf4,half}.json
"""

import json
import pathlib

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "ops"

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0]


def write(name, value):
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_text(json.dumps(value) + "\n")


def floats(x):
    return [float(v) for v in np.asarray(x, dtype=np.float32).ravel()]


def adamw(count=37, steps=5, max_norm=1.0):
    """Five steps with clipping (on in some, off in others), decay and a changing rate."""
    torch.manual_seed(1)
    p = torch.nn.Parameter(torch.randn(count))
    start = p.detach().clone()
    optimizer = torch.optim.AdamW([p], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1,
                                  foreach=False, fused=False)
    rows = []
    for step in range(1, steps + 1):
        gradient = torch.randn(count) * (0.02 if step % 2 else 3.0)
        rate = 1e-2 / step
        optimizer.param_groups[0]["lr"] = rate
        p.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([p], max_norm, foreach=False)
        optimizer.step()
        state = optimizer.state[p]
        rows.append({"lr": rate, "gradient": floats(gradient), "p": floats(p.detach()),
                     "m": floats(state["exp_avg"]), "v": floats(state["exp_avg_sq"])})
    return {"start": floats(start), "max_norm": max_norm, "weight_decay": 0.1, "steps": rows}


def nf4(blocks=6):
    """Codes, absmax and bf16 values. Boundaries: as float32 midpoints, a value on one goes down."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((blocks, 64)).astype(np.float32) * 0.05
    x[1] = 0                                    # a block of zeros
    x[2] *= np.float32(1e-3)
    x[3, :] = np.linspace(-1, 1, 64, dtype=np.float32)
    x = torch.tensor(x).bfloat16().float().numpy()  # what every device can hold
    book = np.array(NF4, dtype=np.float64)
    middles = ((book[1:] + book[:-1]) / 2).astype(np.float32)
    codes, absmax, values = [], [], []
    for row in x:
        top = np.float32(np.abs(row).max())
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = row * (np.float32(1) / top)
        code = (scaled[:, None] > middles[None, :]).sum(axis=1)
        codes += [int(h) << 4 | int(l) for h, l in zip(code[0::2], code[1::2])]
        absmax.append(float(top))
        values += floats(torch.tensor(book[code].astype(np.float32) * top).bfloat16().float())
    return {"x": floats(x), "codes": codes, "absmax": absmax, "values": values}


def half():
    """Roundings to fp16 and bf16: ties, subnormals, the largest, overflow."""
    x = np.array([0.0, -0.0, 1.0, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8, 65504, 65519.99,
                  65520, 1e6, -1e6, 2**-14, 2**-15, 2**-24, 2**-25, 1.5 * 2**-24, 2.5 * 2**-24,
                  6.1e-5, 5.96e-8, 3e-8, 2.9e-8, 1e-30, -2**-26, 3.3895e38, 3.4e38, 1e-40, -0.1,
                  3.14159265, -2.71828], dtype=np.float32)
    t = torch.tensor(x)
    bits = lambda y: [int(v) & 0xFFFF for v in y.view(torch.int16)]
    return {"x": [v.hex() for v in x.astype(np.float64).tolist()], "f16": bits(t.half()),
            "bf16": bits(t.bfloat16())}


if __name__ == "__main__":
    write("adamw.json", adamw())
    write("nf4.json", nf4())
    write("half.json", half())
