"""Faces on recordings, one JSON line a frame as `thermogate detect --json` writes them, by weights that are no ONNX yet:
predict.py SHARED IN.pt[,IN.pt] DEVICE,… [--labelled] [--marks MARKS.onnx] [--as OTHER]
Weights are averaged. --labelled leaves out frames that are not in faces.csv, --marks adds the second network's say, --as
makes another camera's pictures of them."""
import argparse
import csv
import json

import cv2
import numpy as np
import torch

import data
from model import BOX, HEAT, STRIDE, Net, cut, normalise_cut


CLOSE_WEIGHT = 0.3  # of the second network's say in a score, as in ../marks.go


def load(*weights):
    """The network with the mean of one or more weights."""
    states = [torch.load(w) for w in weights]
    net = Net()
    net.load_state_dict({k: sum(s[k].double() for s in states).div(len(states)).to(v.dtype) for k, v in states[0].items()})
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
    low, high = np.maximum(low, 0), np.minimum(low + size, (width, height))
    box = [*low, *(high - low)]
    return dict(zip("xywh", map(float, box)), score=score)


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


def look_closer(marks, picture, faces):
    """The say of the second network in the scores, its landmarks and poses."""
    for f in faces:
        part, m = cut(picture, np.array([f[k] for k in "xywh"]))
        marks.setInput(normalise_cut(part).astype(np.float32)[None, None])
        values = marks.forward()[0]
        logit = np.log(f["score"] / (1 - f["score"]))
        f["score"] = float(1 / (1 + np.exp(-((1 - CLOSE_WEIGHT) * logit + CLOSE_WEIGHT * values[16]))))
        points = values[:10].reshape(5, 2) * part.shape[::-1] - 0.5
        f["landmarks"] = ((points - m[:, 2]) @ np.linalg.inv(m[:, :2]).T).round(2).tolist()
        poses = np.exp(values[10:13] - values[10])
        f["pose"] = 0 if poses[1:].sum() < 1 else 1 + int(poses[1:].argmax())
    return sorted(faces, key=lambda f: -f["score"])


def look(net, pictures):
    """Faces at the sizes at which the detector looks, see ../detector.go."""
    long = max(pictures[0].shape)
    scale = 2 if long < 120 else 1
    found = at_scale(net, pictures, scale)
    if scale * long > 240:
        large = at_scale(net, pictures, scale / 2)
        found = [distinct([f for f in a if max(f["w"], f["h"]) <= 90 / scale] + b) for a, b in zip(found, large)]
    return found


def at_scale(net, pictures, scale):
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    found = detect(net, [p if scale == 1 else cv2.resize(p, None, fx=scale, fy=scale, interpolation=kind) for p in pictures])
    return [[f | {k: f[k] / scale for k in "xywh"} for f in faces] for faces in found]


def eight_bits(picture, enhance=lambda grey: grey):
    low, high = picture.min(), picture.max()
    return data.spread(enhance(np.uint8(np.round((picture - low) / (high - low) * 255))).astype(np.float32))


def enlarged(factor):
    def resample(picture):
        return cv2.GaussianBlur(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), (0, 0), factor / 2)
    return resample


def beside_a_lamp(picture):
    picture = picture.copy()
    picture[60:100, :12] = 95
    return picture


def shows_skin(picture, f):
    """Whether the middle of a box can be a face, see ../skin.go."""
    x, y, w, h = (f[k] for k in "xywh")
    middle = picture[int(y + h / 4):int(y + h * 3 / 4 + 1), int(x + w / 4):int(x + w * 3 / 4 + 1)]
    return (middle > data.HOTTEST_SKIN).mean() <= 0.25 and data.no_skin(middle).mean() <= 0.5


def closely(marks, pictures, found):
    return [look_closer(marks, p, faces) for p, faces in zip(pictures, found)] if marks else found


def both(net, marks, pictures, relative):
    """Faces by both networks. Those of a picture with a scale are of skin; one without may be inverted or have few levels
    for people, see ../detector.go."""
    if not relative:
        skin = [data.only_skin(p) for p in pictures]
        found = [[f for f in faces if shows_skin(p, f)] for p, faces in zip(pictures, look(net, skin))]
        return closely(marks, skin, found)
    found = closely(marks, pictures, look(net, pictures))
    best = lambda faces: max((f["score"] for f in faces), default=0)
    turned = [2 * np.median(p) - p for p in pictures]
    for i, faces in enumerate(closely(marks, turned, look(net, turned))):
        if best(found[i]) < 0.5 and best(faces) > best(found[i]) + 0.05:
            found[i], pictures[i] = faces, turned[i]
    for i, p in enumerate(pictures):
        if (more := data.contrast(p)) > 1:
            spread = [np.median(p) + (p - np.median(p)) * np.float32(more)]
            found[i] = distinct(found[i] + closely(marks, spread, look(net, spread))[0])
    return found


AS = {  # what a picture becomes, how many times as large it is then, and whether it has lost its scale
    "itself": (lambda p: p, 1, False),
    "half": (lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 0.5, False),
    "320x240": (enlarged(2), 2, False),
    "8bit": (eight_bits, 1, True),
    "clahe": (lambda p: eight_bits(p, cv2.createCLAHE(4, (4, 4)).apply), 1, True),
    "inverted": (lambda p: eight_bits(-p), 1, True),
    "lamp": (beside_a_lamp, 1, False),
}


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("shared")
    ap.add_argument("weights")
    ap.add_argument("devices")
    ap.add_argument("--labelled", action="store_true")
    ap.add_argument("--marks")
    ap.add_argument("--as", dest="other", choices=AS, default="itself")
    args = ap.parse_args()
    torch.set_num_threads(1)
    net, marks = load(*args.weights.split(",")), args.marks and cv2.dnn.readNetFromONNX(args.marks)
    change, factor, relative = AS[args.other]
    labelled = {(r["name"], int(r["frame"])) for r in csv.DictReader(open(f"{args.shared}/labels/faces.csv"))}
    for r in csv.DictReader(open(f"{args.shared}/labels/recordings.csv")):
        if r["device"] not in args.devices.split(","):
            continue
        stack, _ = data.read_stack(f"{args.shared}/recordings/{r['name']}.tiff")
        frames = [i for i in range(len(stack)) if not args.labelled or (r["name"], i) in labelled]
        if not frames:
            continue
        pictures = [change(np.ascontiguousarray(stack[i])) for i in frames]
        for i, faces in zip(frames, both(net, marks, pictures, relative)):
            for f in faces:
                for k in "xywh":
                    f[k] /= factor
            print(json.dumps(dict(source=r["name"] + ".tiff", frame=i, width=stack.shape[2], height=stack.shape[1], faces=faces)))


if __name__ == "__main__":
    main()
