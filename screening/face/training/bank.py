"""Draws augmented batches ahead of training, so that folds and epochs share them:
bank.py SHARED OUT.pt DEVICE,… --batches N --seed S [--people PEOPLE.npz…] [--found PREDICTIONS.json [--hard FIRST.pt]]
With what a first model finds on the same frames, doubtful labels are settled; --hard draws what it gets wrong more often."""
import argparse

import cv2
import numpy as np
import torch

import data
import predict
from model import STRIDE

SHAPES = [(160, 160)] * 5 + [(128, 176), (240, 240)]
BATCH = 32  # of 160 x 160, less of larger ones


def targets(boxes, ignore, height, width):
    """Maps for one picture: heat, weight of the heat loss, which face each cell answers for, and how much."""
    h, w = height // STRIDE, width // STRIDE
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    xx, yy = (xx + 0.5) * STRIDE, (yy + 0.5) * STRIDE
    heat, weight = np.zeros((h, w), np.float32), np.ones((h, w), np.float32)
    owner, share = np.full((h, w), -1), np.zeros((h, w), np.float32)
    for x, y, bw, bh in ignore:
        weight[(xx > x) & (xx < x + bw) & (yy > y) & (yy < y + bh)] = 0
    for i, (x, y, bw, bh) in enumerate(boxes):
        cx, cy = x + bw / 2, y + bh / 2
        sx, sy = max(0.11 * bw, 2.0), max(0.11 * bh, 2.0)
        g = np.exp(-((xx - cx) / sx) ** 2 / 2 - ((yy - cy) / sy) ** 2 / 2)
        heat = np.maximum(heat, g)
        heat[min(h - 1, int(cy / STRIDE)), min(w - 1, int(cx / STRIDE))] = 1
        weight[g > 0.3] = 1
        mine = g > np.maximum(share, 0.2)
        owner[mine], share[mine] = i, g[mine]
    return heat, weight, owner, share


def batch(sampler):
    """Pictures; their heat maps and weights; and one row for each cell that answers for a face: picture, row, column,
    share of its face, box."""
    height, width = SHAPES[sampler.rng.integers(len(SHAPES))]
    pictures, maps, cells = [], [], []
    for b in range(BATCH * 160 * 160 // (height * width)):
        x, boxes, _, _, ignore = sampler.sample(height, width)
        heat, weight, owner, share = targets(boxes, ignore, height, width)
        r, c = np.nonzero(owner >= 0)
        o = owner[r, c]
        total = np.bincount(o, share[r, c], minlength=len(boxes)) + 1e-6
        cells.append(np.column_stack([np.full(len(r), b), r, c, share[r, c] / total[o], boxes[o]]))
        pictures.append(x)
        maps.append((heat, weight))
    half = lambda a: torch.from_numpy(np.array(a)).half()
    return half(pictures)[:, None], half(maps), torch.from_numpy(np.concatenate(cells)).float()


class Hard(data.Sampler):
    """Far from a gate it draws two pictures and keeps that of which a first model makes more mistakes."""

    def __init__(self, first, *args):
        super().__init__(*args)
        self.first = first

    def wide(self, height, width):
        def mistakes(drawn):
            f, level = drawn
            return hardness(f, data.boxes_and_scores(predict.detect(self.first, [f.celsius], 0.1, lambda p: data.normalise(p, level))[0]))
        return max((super(Hard, self).wide(height, width) for _ in range(2)), key=mistakes)


def hardness(frame, found):
    """How often to draw a frame, by the worst that a model made of it: a box where no face is, or a face without a box."""
    worst = [s for b, s in found if all(data.iou(b, o) < 0.4 for o in frame.boxes) and all(data.iou(b, o) < 0.2 for o in frame.ignore)]
    worst += [1 - max([s for b, s in found if data.iou(b, o) >= 0.5], default=0) for o in frame.boxes]
    return (0.05 + max(worst, default=0)) ** 2


def hard_scenes(people, first, rooms, seed):
    """Hardness of each scene of people who don't exist, before a recorded frame."""
    rng = np.random.default_rng(seed)
    for i in range(len(people.scenes)):
        f = people.before(rng, i, rooms[rng.integers(len(rooms))])
        yield hardness(f, data.boxes_and_scores(predict.detect(first, [f.celsius])[0]))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("shared")
    ap.add_argument("out")
    ap.add_argument("devices")
    ap.add_argument("--batches", type=int, default=1200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--people", nargs="*", default=[])
    ap.add_argument("--found", help="JSON lines of predict.py for all frames of these devices")
    ap.add_argument("--hard", metavar="FIRST.pt", help="the first model")
    args = ap.parse_args()
    cv2.setNumThreads(1)
    found = data.read_found([args.found] if args.found else [])
    frames = data.load(args.shared, lambda d: d in args.devices.split(","), found)
    people = args.people and data.People(args.people)
    first = args.hard and predict.load(args.hard)
    if first:
        torch.set_num_threads(1)
        for f in frames:
            f.weight *= hardness(f, found[f.name, f.index])
    if first and people:
        rooms = [f.celsius for f in frames if not len(f.boxes)]
        people.cumulative = data.cumulative(list(hard_scenes(people, first, rooms, args.seed)))
    sampler = Hard(first, frames, args.seed, 0.55, people) if first else data.Sampler(frames, args.seed, 0.8, people)
    torch.save([batch(sampler) for _ in range(args.batches)], args.out)


if __name__ == "__main__":
    main()
