"""Paints what stands around people away from a gate, in °C: sky, walls, windows, radiators, lamps, cars, machines, cups.

Not one of them is drawn as it looks. Their outlines, edges, gradients, patterns and temperatures are, in any order, so that
a network learns what is no face and not how some things are painted. wide.py, which tests, paints things as they look; the
two share nothing."""
import cv2
import numpy as np

HEIGHT, WIDTH = 240, 320


class Surroundings:
    """Painted pictures, of which one is drawn, turned and mixed anew each time."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.painted = [paint(rng).astype(np.float16) for _ in range(count)]

    def picture(self, rng, height, width):
        picture = self.part(rng, height, width)
        if rng.random() < 0.35:  # another one behind an edge
            other = self.part(rng, height, width)
            angle, soft = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.5, 3))
            yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
            beyond = (xx - rng.random() * width) * np.cos(angle) + (yy - rng.random() * height) * np.sin(angle)
            beyond += hills(rng, (height, width), rng.uniform(8, 60)) * rng.uniform(0, 20)
            picture += (other - picture) * np.clip(beyond / soft + 0.5, 0, 1)
        return picture + np.float32(rng.normal(0, 3))

    def part(self, rng, height, width):
        whole = self.painted[rng.integers(len(self.painted))]
        zoom = rng.uniform(0.5, 1)
        h, w = int(zoom * HEIGHT), int(zoom * WIDTH)
        y, x = rng.integers(HEIGHT - h + 1), rng.integers(WIDTH - w + 1)
        part = cv2.resize(whole[y:y + h, x:x + w].astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return part[:, ::-1].copy() if rng.random() < 0.5 else part


def temperature(rng, air):
    kind = rng.random()
    if kind < 0.45:
        return air + rng.normal(0, 4)
    if kind < 0.65:  # as warm as skin
        return rng.uniform(25, 48)
    if kind < 0.85:
        return np.exp(rng.uniform(np.log(40), np.log(220)))
    return rng.uniform(-45, 10)


def hills(rng, shape, grain):
    """Smooth noise about 1 high, its hills grain pixels wide."""
    small = rng.normal(0, 1, (int(shape[0] / grain) + 2, int(shape[1] / grain) + 2)).astype(np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def outline(rng, width, height):
    """A mask of some thing that fills width by height pixels."""
    mask = np.zeros((height, width), np.float32)
    middle, radii = (width // 2, height // 2), (max(1, width // 2 - 1), max(1, height // 2 - 1))
    kind = rng.integers(9)
    if kind in (0, 5, 6):
        cv2.ellipse(mask, middle, radii, 0, 0, 360, 1, -1)
    if kind == 1:  # a ring, a wheel, a frame
        cv2.ellipse(mask, middle, radii, 0, 0, 360, 1, max(1, int(rng.uniform(0.05, 0.3) * min(width, height))))
    elif kind == 2:
        mask[:] = 1
    elif kind == 3:  # ribs, bars, blinds
        step = max(3, int(width / rng.integers(2, 14)))
        share = rng.uniform(0.3, 0.8)
        for x in range(0, width, step):
            mask[:, x:x + max(1, int(step * share))] = 1
    elif kind == 4:  # panes
        step = max(4, int(height / rng.integers(1, 6)))
        share = rng.uniform(0.4, 0.8, 2)
        for y in range(0, height, step):
            for x in range(0, width, step):
                mask[y:y + max(1, int(share[0] * step)), x:x + max(1, int(share[1] * step))] = 1
    elif kind == 5:  # with holes: leaves, bolts, spokes
        for _ in range(rng.integers(2, 7)):
            at = rng.random(2) * (width, height)
            cv2.circle(mask, tuple(int(v) for v in at), max(1, int(rng.uniform(0.05, 0.15) * min(width, height))), 0, -1)
    elif kind == 6:  # of two parts: a bottle, a lamp on its foot, a sack
        y = int(rng.uniform(0.3, 0.7) * height)
        mask[y:, int(rng.uniform(0, 0.4) * width):int(rng.uniform(0.6, 1) * width)] = 1
    elif kind == 7:  # a bent pipe, a branch, a cable
        points = rng.random((rng.integers(2, 5), 2)) * (width, height)
        cv2.polylines(mask, [points.astype(np.int32)], False, 1, max(1, int(rng.uniform(0.04, 0.25) * min(width, height))))
    elif kind == 8:
        corners = rng.random((rng.integers(3, 9), 2)) * (width, height)
        corners = corners[np.argsort(np.arctan2(*(corners - corners.mean(0)).T))]
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    return mask


def put(rng, canvas, air):
    """Something of any kind anywhere."""
    size = np.exp(rng.uniform(np.log(4), np.log(0.7 * HEIGHT)))
    width, height = np.maximum(3, size * np.exp(rng.normal(0, 0.6, 2))).astype(int).clip(max=2 * HEIGHT)
    mask = outline(rng, width, height)
    soft = max(0.3, rng.choice([0.4, 1, 0.08 * size, 0.25 * size], p=[0.4, 0.3, 0.2, 0.1]))
    turn = 0 if rng.random() < 0.6 else rng.uniform(-90, 90)
    reach = int(np.hypot(width, height) / 2 + 2 * soft) + 2 if turn else 0
    half = np.array([reach, reach]) if turn else np.array([width, height]) // 2 + int(2 * soft) + 2
    m = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    m[:, 2] += half - np.array([width, height]) / 2
    mask = cv2.GaussianBlur(cv2.warpAffine(mask, m, tuple(int(v) for v in 2 * half)), (0, 0), soft)
    x, y = (rng.uniform(-0.1, 1.1, 2) * (WIDTH, HEIGHT)).astype(int) - half
    x0, y0, x1, y1 = max(0, x), max(0, y), min(WIDTH, x + mask.shape[1]), min(HEIGHT, y + mask.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    mask, view = mask[y0 - y:y1 - y, x0 - x:x1 - x], canvas[y0:y1, x0:x1]
    hot = temperature(rng, air)
    yy, xx = np.mgrid[0:y1 - y0, 0:x1 - x0].astype(np.float32)
    slope, across, most = rng.normal(0, 0.4) * (hot - air) / max(size, 5), rng.uniform(0, 2 * np.pi), abs(hot - air)
    value = hot + np.clip(slope * ((xx - xx.mean()) * np.cos(across) + (yy - yy.mean()) * np.sin(across)), -most, most)
    if rng.random() < 0.4:
        value = value + hills(rng, view.shape, rng.uniform(2, 12)) * rng.uniform(0.1, 0.15 * most + 0.3)
    if rng.random() < 0.2:  # rounder: colder or hotter towards its rim
        value = value + (cv2.GaussianBlur(mask, (0, 0), 0.2 * size + 0.5) - 0.5) * rng.normal(0, 0.5) * most
    view += (value - view) * mask * rng.choice([1, rng.uniform(0.2, 0.9)])
    if rng.random() < 0.15:  # warms what is around it
        view += cv2.GaussianBlur(mask, (0, 0), 0.3 * size + 0.5) * rng.uniform(0, 0.2) * (hot - air)


def paint(rng):
    """One picture of HEIGHT by WIDTH."""
    air = rng.uniform(-8, 34)
    canvas = np.full((HEIGHT, WIDTH), air, np.float32)
    for grain in (60, 20, 6):
        canvas += hills(rng, canvas.shape, grain) * np.exp(rng.uniform(-3, 1)) * (grain / 60) ** 0.5
    canvas += np.linspace(-0.5, 0.5, HEIGHT, dtype=np.float32)[:, None] * rng.normal(0, 4)
    if rng.random() < 0.3:  # sky above a roof, a ridge, trees
        edge = rng.uniform(0.1, 0.7) * HEIGHT + hills(rng, (1, WIDTH), rng.uniform(5, 60))[0] * rng.uniform(0, 12)
        above = np.arange(HEIGHT)[:, None] < edge
        sky = rng.uniform(-50, 8) + np.linspace(0, rng.uniform(0, 20), HEIGHT)[:, None]
        canvas = np.where(above, sky, canvas).astype(np.float32)
    for _ in range(int(np.exp(rng.uniform(np.log(4), np.log(60))))):
        put(rng, canvas, air)
    return canvas
