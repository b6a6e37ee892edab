"""Trains the second network on what the first found, cut out of the frames: is it a face, its landmarks, its pose, what
hides it.

    marks.py SHARED OUT.onnx FIRST.pt [--found FOUND.json…] [--people PEOPLE.npz…] [--devices NAME,…] [--steps N] [--seed S]

FOUND.json is what predict.py finds, FIRST.pt the first network; where they see faces and none is, it is what this one
learns to tell.
"""
import argparse
import json
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F

import data
import predict
from model import CUT_HEIGHT, CUT_WIDTH, Marks, cut, normalise_cut

JITTER = 0.06  # how far off the detector's box is, in its widths and heights
BATCH = 128
PARTS = "landmarks pose cover face".split()
WIDE = 0.2, 0.04  # share of cut-outs that are of pictures far from any gate, at first and at the end
FRONTAL_SHIFT = 0.25  # most people face the camera; without this a turned head is taken to do so as well
OTHERS = 0.4  # share of cut-outs that are no face


def around(celsius, box, marks):
    """The part of a frame that a cut-out can reach."""
    x, y, w, h = box
    x0, y0 = max(0, int(x - 0.6 * w)), max(0, int(y - 0.6 * h))
    part = celsius[y0:int(y + 1.6 * h) + 1, x0:int(x + 1.6 * w) + 1]
    return part, box - [x0, y0, 0, 0], marks - [x0, y0]


def enhance(rng, picture):
    """What cameras do to pictures for the eye: less of large differences, a bent scale."""
    if rng.random() < 0.5:
        return (picture - rng.uniform(0.2, 0.8) * cv2.GaussianBlur(picture, (0, 0), rng.uniform(5, 12))) * rng.uniform(1, 1.6)
    low, high = picture.min(), picture.max() + 1e-6
    return low + (high - low) * ((picture - low) / (high - low)) ** np.exp(rng.normal(0, 0.4))


class Faces:
    """Cut-outs with what is known of them, drawn at random."""

    def __init__(self, frames, found, people, seed):
        self.rng, self.people = np.random.default_rng(seed), people
        self.frames, self.invented = frames, []
        self.faces = [(f, i) for f in frames for i in range(len(f.boxes)) if min(f.boxes[i][2:]) >= data.SMALLEST]
        self.cumulative = data.cumulative([f.weight * (1.5 if not np.isnan(f.landmarks[i][0, 0]) else 1) * (3 if f.attributes[i][0] > 0 else 1)
                                           for f, i in self.faces])
        at = {(f.name, f.index): f for f in frames}
        self.mistaken = [(f, box) for key, boxes in found.items() if (f := at.get(key))
                         for box, score in boxes if score >= 0.08 and far(f, box)]
        self.empty = [f.celsius for f in frames if not len(f.boxes)]
        self.wide_share, self.wide, self.mistaken_wide = WIDE[0], [], []

    def far_from_gates(self, first, pictures):
        """Adds pictures with painted surroundings, and what the first network takes for faces there."""
        sampler = data.Sampler(self.frames, int(self.rng.integers(1 << 30)), 0.8, self.people)
        for _ in range(pictures):
            f, level = sampler.wide(160, 208)
            boxes = data.boxes_and_scores(predict.detect(first, [f.celsius], 0.05, lambda p: data.normalise(p, level))[0])
            self.mistaken_wide += [(f, box) for box, _ in boxes if far(f, box)]
            self.wide += [(f, i) for i in range(len(f.boxes))]

    def drawn(self):
        """A scene of people who don't exist."""
        return self.people.pick(self.rng, self.empty[self.rng.integers(len(self.empty))])

    def mistake(self, first, scenes):
        """Adds what the first network takes for faces in scenes of people who don't exist."""
        self.invented = []
        for _ in range(scenes):
            f = self.drawn()
            boxes = data.boxes_and_scores(predict.detect(first, [f.celsius], 0.08)[0])
            self.invented += [(f, box) for box, _ in boxes if far(f, box)]

    def face(self):
        """A frame and which of its faces."""
        rng = self.rng
        if self.wide and rng.random() < self.wide_share:
            return self.wide[rng.integers(len(self.wide))]
        while self.people and rng.random() < data.PEOPLE:
            if len((f := self.drawn()).boxes):
                return f, rng.integers(len(f.boxes))
        return self.faces[data.drawn(rng, self.cumulative)]

    def other(self):
        """A frame and a box that is no face."""
        rng = self.rng
        if self.mistaken_wide and rng.random() < self.wide_share:
            return self.mistaken_wide[rng.integers(len(self.mistaken_wide))]
        pool = rng.choice([0, 1, 2], p=[0.45, 0.3, 0.25])
        for mistakes in (self.mistaken, self.invented)[pool:pool + 1]:
            if mistakes:
                return mistakes[rng.integers(len(mistakes))]
        return self.elsewhere()

    def sample(self):
        rng = self.rng
        marks, attributes = np.full((5, 2), np.nan), np.full(4, -1.0)
        if face := rng.random() >= OTHERS:
            f, i = self.face()
            box, marks, attributes = f.boxes[i].copy(), f.landmarks[i].copy(), f.attributes[i].copy()
        else:
            f, box = self.other()
        celsius, box, marks = around(f.celsius, box, marks)
        if rng.random() < 0.35 and min(celsius.shape) > data.SMALLEST:  # a smaller face than this camera's
            shrink = rng.uniform(0.4, 0.9)
            celsius = cv2.resize(cv2.GaussianBlur(celsius, (0, 0), 0.45 / shrink), None, fx=shrink, fy=shrink)
            box, marks = box * shrink, marks * shrink
        if face:
            celsius = celsius.copy()
            data.cover(rng, celsius, box, marks, attributes)
        box[:2] += rng.normal(0, JITTER, 2) * box[2:]
        grown = box[2:] * np.exp(rng.normal(0, JITTER, 2))
        box = np.r_[box[:2] + (box[2:] - grown) / 2, grown]
        picture, m = cut(celsius, box, np.radians(rng.normal(0, 10)))
        marks = marks @ m[:, :2].T + m[:, 2]
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            marks[:, 0] = CUT_WIDTH - 1 - marks[:, 0]
            marks = marks[data.ORDER]
        if rng.random() < 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2))
        picture = (picture - picture.mean()) * np.exp(rng.normal(0, 0.3)) + rng.normal(0, rng.uniform(0, 0.25), picture.shape)
        if rng.random() < 0.25:
            picture = enhance(rng, picture)
        attributes = np.r_[attributes if face else np.full(4, -1.0), float(face)]
        return normalise_cut(picture).astype(np.float32), (marks + 0.5) / (CUT_WIDTH, CUT_HEIGHT), attributes

    def elsewhere(self):
        """A box anywhere, or half on a face."""
        rng = self.rng
        while True:
            f = self.drawn() if self.people and rng.random() < 0.3 else self.frames[rng.integers(len(self.frames))]
            height, width = f.celsius.shape
            size = np.exp(rng.uniform(np.log(data.SMALLEST), np.log(70))) * np.array([1, 1.3])
            centre = rng.random(2) * (width, height)
            if len(f.boxes) and rng.random() < 0.6:
                b = f.boxes[rng.integers(len(f.boxes))]
                size = b[2:] * np.exp(rng.normal(0, 0.4, 2))
                centre = b[:2] + b[2:] * rng.uniform(-0.7, 1.7, 2)
            box = np.r_[centre - size / 2, size]
            if far(f, box):
                return f, box

    def batch(self):
        pictures, marks, attributes = zip(*(self.sample() for _ in range(BATCH)))
        return (torch.from_numpy(np.stack(pictures))[:, None], torch.tensor(np.stack(marks), dtype=torch.float32),
                torch.tensor(np.stack(attributes), dtype=torch.float32))


def mirrored(pictures, marks, attributes):
    """Another look at a batch, which takes longer to draw than to learn from."""
    more = torch.exp(torch.randn(len(pictures), 1, 1, 1) * 0.1)
    marks = torch.stack([1 - marks[:, data.ORDER, 0], marks[:, data.ORDER, 1]], 2)
    return pictures.flip(3) * more + torch.randn_like(pictures) * 0.03, marks, attributes


def far(frame, box):
    """Whether a box is on no face, known or doubtful."""
    return (all(data.iou(b, box) < 0.25 for b in frame.boxes) and all(data.iou(b, box) < 0.1 for b in frame.ignore)
            and 0 < box[0] + box[2] / 2 < frame.celsius.shape[1] and 0 < box[1] + box[3] / 2 < frame.celsius.shape[0])


def loss_of(out, marks, attributes):
    known = ~torch.isnan(marks)
    error = F.smooth_l1_loss(out[:, :10].view(-1, 5, 2), torch.nan_to_num(marks), beta=0.02, reduction="none")
    error = (error * torch.tensor([1.5, 1.5, 1, 0.7, 0.7])[None, :, None] * known).sum() / known.sum().clamp(min=1)
    # A face turned further than the label of its stretch says is not punished hard.
    pose = F.cross_entropy(out[:, 10:13], attributes[:, 0].clamp(min=0).long(), reduction="none", label_smoothing=0.05)
    pose = (pose * (attributes[:, 0] >= 0)).mean()
    cover = F.binary_cross_entropy_with_logits(out[:, 13:16], attributes[:, 1:4].clamp(min=0), reduction="none")
    cover = (cover * (attributes[:, 1:4] >= 0)).mean()
    face = F.binary_cross_entropy_with_logits(out[:, 16], attributes[:, 4] * 0.96 + 0.02)
    return 10 * error + 0.8 * pose + 0.5 * cover + 0.5 * face, (error, pose, cover, face)


def train(faces, steps):
    net = Marks()
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    net = net.to(memory_format=torch.channels_last)
    start, sums = time.time(), np.zeros(4)
    for step in range(1, steps + 1):
        faces.wide_share = WIDE[0] + (WIDE[1] - WIDE[0]) * step / steps
        batch = faces.batch() if step % 2 else mirrored(*batch)
        loss, parts = loss_of(net(batch[0]), *batch[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        keep = min(0.995, 1 - 1 / step ** 0.8)
        for k, v in net.state_dict().items():
            average[k] = v if not v.dtype.is_floating_point else average[k] * keep + v.detach() * (1 - keep)
        sums += [float(p) for p in parts]
        if step % 100 == 0:
            print(f"{step} {time.time() - start:.0f} s", *(f"{n} {v:.4f}" for n, v in zip(PARTS, sums / 100)), flush=True)
            sums[:] = 0
    net.load_state_dict(average)
    return net.eval()


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("shared")
    ap.add_argument("out")
    ap.add_argument("first")
    ap.add_argument("--found", nargs="*", default=[])
    ap.add_argument("--people", nargs="*", default=[])
    ap.add_argument("--devices", help="train on the recordings of these only, for a fold")
    ap.add_argument("--steps", type=int, default=2500)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    devices = args.devices.split(",") if args.devices else None
    found = data.read_found(args.found)
    frames = data.load(args.shared, lambda d: devices is None or d in devices, found)
    faces, first = Faces(frames, found, args.people and data.People(args.people), args.seed), predict.load(args.first)
    if faces.people:
        faces.mistake(first, 1500)
    faces.far_from_gates(first, 1500)
    net = train(faces, args.steps)
    net.head[-1].bias.data[10] -= FRONTAL_SHIFT
    torch.onnx.export(net, torch.zeros(1, 1, CUT_HEIGHT, CUT_WIDTH), args.out, input_names=["face"], output_names=["marks"], opset_version=11)


if __name__ == "__main__":
    main()
