#!/usr/bin/env python3
"""Makes tests/fixtures/model/nf4.safetensors: NF4 with double quantization, by bitsandbytes on the CPU.

usage: make_nf4_fixtures.py [OUT]        needs torch, bitsandbytes, safetensors

Of one BF16 matrix: absmax of each block of 64 as fp32; absmax after double quantization; the values that then multiply, in bf16.
"""
import os
import sys

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

torch.set_num_threads(2)
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "fixtures", "model")


def main():
    weight = (torch.randn(96, 192, generator=torch.Generator().manual_seed(0)) * 0.05).bfloat16()
    codes, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    double_codes, double = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=True)
    assert torch.equal(codes, double_codes)
    absmax = bnb.dequantize_blockwise(double.absmax, double.state2) + double.offset
    save_file({
        "weight": weight,
        "absmax": state.absmax.float(),
        "double.absmax": absmax.float(),
        "double.values": bnb.dequantize_4bit(double_codes, double),
    }, os.path.join(OUT, "nf4.safetensors"), metadata={"format": "pt"})


if __name__ == "__main__":
    main()
