"""Faces on recordings, one JSON line a frame as `thermogate detect --json` writes them, by weights that are no ONNX yet:
predict.py SHARED IN.pt DEVICE,… [--labelled]   (with --labelled only the frames in faces.csv)"""
import csv
import json
import sys

import cv2
import numpy as np
import torch

import data
from model import BOX, COVER, HEAT, LANDMARKS, POSE, STRIDE, Net


def load(weights):
    net = Net()
    net.load_state_dict(torch.load(weights))
    return net.eval()


def detect(net, pictures, least=0.05, prepare=data.normalise):
    """Faces of n upright pictures of one size in degrees Celsius: a list of dicts a picture, best first."""
    height, width = pictures[0].shape
    bottom, right = -height % 16, max(144, width + -width % 16) - width
    x = np.stack([cv2.copyMakeBorder(prepare(p).astype(np.float32), 0, bottom, 0, right, cv2.BORDER_REPLICATE) for p in pictures])
    with torch.no_grad():
        maps = net(torch.from_numpy(x)[:, None])
        heat = torch.sigmoid(maps[:, HEAT])
        peaks = (heat == torch.nn.functional.max_pool2d(heat[:, None], 3, 1, 1)[:, 0]) & (heat >= least)
    found = [[] for _ in pictures]
    for n, row, column in zip(*np.nonzero(peaks.numpy())):
        found[n].append(decode(maps[n, :, row, column].numpy(), float(heat[n, row, column]), row, column, width, height))
    return [distinct(f) for f in found]


def decode(v, score, row, column, width, height):
    at = (np.array([column, row]) + 0.5) * STRIDE
    size = STRIDE * np.exp(np.clip(v[BOX][2:], -1, 4))
    low = at + (v[BOX][:2] - 0.5) * size
    marks = at + v[LANDMARKS].reshape(5, 2) * size
    low, high = np.maximum(low, 0), np.minimum(low + size, (width, height))
    box = [*low, *(high - low)]
    return dict(zip("xywh", map(float, box)), score=score, landmarks=marks.round(2).tolist(), pose=int(v[POSE].argmax()),
                cover=[bool(c > 0) for c in v[COVER]])


def distinct(faces):
    kept = []
    for f in sorted(faces, key=lambda f: -f["score"]):
        if all(overlap(f, k) <= 0.4 for k in kept):
            kept.append(f)
    return kept


def overlap(a, b):
    w = min(a["x"] + a["w"], b["x"] + b["w"]) - max(a["x"], b["x"])
    h = min(a["y"] + a["h"], b["y"] + b["h"]) - max(a["y"], b["y"])
    if w <= 0 or h <= 0:
        return 0
    both, small = w * h, min(a["w"] * a["h"], b["w"] * b["h"])
    return both / small if both > 0.85 * small else both / (a["w"] * a["h"] + b["w"] * b["h"] - both)


def main():
    shared, weights, devices = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
    net = load(weights)
    labelled = {(r["name"], int(r["frame"])) for r in csv.DictReader(open(f"{shared}/labels/faces.csv"))}
    for r in csv.DictReader(open(f"{shared}/labels/recordings.csv")):
        if r["device"] not in devices:
            continue
        stack, _ = data.read_stack(f"{shared}/recordings/{r['name']}.tiff")
        frames = [i for i in range(len(stack)) if "--labelled" not in sys.argv or (r["name"], i) in labelled]
        if not frames:
            continue
        for i, faces in zip(frames, detect(net, stack[frames])):
            print(json.dumps(dict(source=r["name"] + ".tiff", frame=i, width=stack.shape[2], height=stack.shape[1], faces=faces)))


if __name__ == "__main__":
    main()
