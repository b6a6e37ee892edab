"""Trains the detector on banks of batches: train.py OUT.pt BANK.pt… --steps N --seed S [--start IN.pt --rate R]"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F

from model import BOX, HEAT, STRIDE, Net

PARTS = "centre box".split()


def loss_of(out, maps, cells):
    heat, weight = maps[:, 0], maps[:, 1]
    z = out[:, HEAT]
    p = torch.sigmoid(z)
    positive = (heat == 1).float()
    focal = positive * F.softplus(-z) * (1 - p) ** 2 + (1 - positive) * (1 - heat) ** 4 * F.softplus(z) * p ** 2
    centre = (focal * weight).sum() / positive.sum().clamp(min=1)
    b, r, c = cells[:, 0].long(), cells[:, 1].long(), cells[:, 2].long()
    share, box = cells[:, 3], cells[:, 4:8]
    v = out[b, :, r, c]
    at = torch.stack([c, r], 1) * STRIDE + STRIDE / 2.0
    size = torch.exp(v[:, BOX][:, 2:].clamp(-1, 4)) * STRIDE
    mid = at + v[:, BOX][:, :2] * size
    true_mid, true_size = box[:, :2] + box[:, 2:] / 2, box[:, 2:]
    low, high = torch.maximum(mid - size / 2, box[:, :2]), torch.minimum(mid + size / 2, box[:, :2] + true_size)
    both = (high - low).clamp(min=0).prod(1)
    iou = both / (size.prod(1) + true_size.prod(1) - both)
    off = ((mid - true_mid).abs() / true_size).sum(1) + (size / true_size).log().abs().sum(1)
    return centre, (((1 - iou) + 0.3 * off) * share).sum() / share.sum().clamp(min=1)


def vary(x):
    """What changes between two looks at the same batch: level, contrast, noise."""
    shape = (len(x), 1, 1, 1)
    return x * torch.exp(torch.randn(shape) * 0.1) + torch.randn(shape) * 0.15 + torch.randn_like(x) * torch.rand(shape) * 0.03


def train(net, batches, steps, rate):
    """Returns the weights averaged over the last steps."""
    net = net.to(memory_format=torch.channels_last)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    start, order, sums = time.time(), [], np.zeros(len(PARTS))
    for step in range(steps):
        order = order or torch.randperm(len(batches)).tolist()
        x, maps, cells = batches[order.pop()]
        for g in optimizer.param_groups:
            g["lr"] = rate * min(1, (step + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 1e-5
        with torch.autocast("cpu", dtype=torch.bfloat16):  # a quarter faster, and no worse
            out = net(vary(x.float()).to(memory_format=torch.channels_last))
        parts = loss_of(out.float(), maps.float(), cells)
        loss = parts[0] + 2 * parts[1]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        keep = min(0.998, 1 - 1 / (step + 1) ** 0.8)
        for k, v in net.state_dict().items():
            if v.dtype.is_floating_point:
                average[k].mul_(keep).add_(v.detach(), alpha=1 - keep)
        sums += [float(p) for p in parts]
        if (step + 1) % 200 == 0:
            print(f"{step + 1} {time.time() - start:.0f} s", *(f"{n} {s:.3f}" for n, s in zip(PARTS, sums / 200)), flush=True)
            sums[:] = 0
    return average


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("out")
    ap.add_argument("banks", nargs="+")
    ap.add_argument("--steps", type=int, default=2500)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--rate", type=float, default=3e-3)
    ap.add_argument("--start", help="weights to go on from")
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # the arithmetic, and so the result, depends on it; two folds side by side fill two cores
    loaded = {bank: torch.load(bank) for bank in sorted(set(args.banks))}
    batches = [b for bank in args.banks for b in loaded[bank]]  # a bank named twice counts twice
    net = Net()
    if args.start:
        net.load_state_dict(torch.load(args.start))
    torch.save(train(net, batches, args.steps, args.rate), args.out)


if __name__ == "__main__":
    main()
