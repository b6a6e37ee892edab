"""The networks, and what the second and the third look at."""
import cv2
import numpy as np
import torch
import torch.nn as nn

STRIDE = 4
HEAT, BOX, CHANNELS = 0, slice(1, 5), 5  # of the output
CELLS = 4  # of the output at each place of the last step
CUT_WIDTH, CUT_HEIGHT = 40, 48  # pixels of a cut-out
CUT_MARGIN = 0.3  # of the box, on every side


def conv(inputs, outputs, kernel=3, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, with or without a shortcut."""

    def __init__(self, inputs, outputs, stride=1, shortcut=False):
        super().__init__()
        self.depthwise = conv(inputs, inputs, 3, stride, inputs)
        self.pointwise = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = shortcut

    def forward(self, x):
        y = self.pointwise(self.depthwise(x))
        return torch.relu(x + y if self.shortcut else y)


class Net(nn.Module):
    """One channel in; a map of face centres and their boxes out, at a quarter of the input size.

    Down to stride 16 and back up to stride 8, where each place tells of four cells of the map: going back up to stride 4
    takes half as long again. XNNPACK makes 16 channels at once, so their numbers are multiples of 16, but for the first, of
    which it makes two places."""

    def __init__(self, c=(8, 16, 48, 64), up=48):
        super().__init__()
        self.s4 = nn.Sequential(conv(1, c[0], 3, 2), conv(c[0], c[1], 3, 2), Separable(c[1], c[1]))
        self.s8 = nn.Sequential(Separable(c[1], c[2], 2), *[Separable(c[2], c[2], shortcut=True) for _ in range(2)])
        self.s16 = nn.Sequential(Separable(c[2], c[3], 2), conv(c[3], c[3]), conv(c[3], c[3]))
        self.from8, self.from16 = nn.Conv2d(c[2], up, 1), nn.Conv2d(c[3], up, 1)
        self.join8 = Separable(up, up, shortcut=True)
        self.head = nn.Sequential(Separable(up, up), nn.Conv2d(up, CHANNELS * CELLS, 1))
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        with torch.no_grad():
            bias = self.head[-1].bias.view(CHANNELS, CELLS)
            bias.zero_()
            bias[HEAT] = -4
            bias[3:5] = 2

    def places(self, x):
        """The map as the network makes it and ../pass.go reads it: at an eighth of the input size, and of each channel
        the four cells of a place, left to right and top to bottom, one after the other."""
        b = self.s8(self.s4(x))
        return self.head(self.join8(self.from8(b) + self.enlarge(self.from16(self.s16(b)))))

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.places(x), 2)


class Marks(nn.Module):
    """In: n x 1 x 48 x 40. Out: n x 17: five landmarks (x and y, 0 to 1 over the cut-out), the logits of three poses
    (frontal, three-quarter, profile), the logits of glasses, mask and covered forehead, and last that of a face."""

    def __init__(self):
        super().__init__()
        def conv(i, o, stride):
            return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        self.body = nn.Sequential(conv(1, 16, 2), conv(16, 32, 2), conv(32, 48, 1), conv(48, 64, 2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 6 * 5, 48), nn.ReLU(inplace=True), nn.Linear(48, 17))

    def forward(self, x):
        return self.head(self.body(x))


class Worn(nn.Module):
    """In: n x 1 x 48 x 40. Out: n x 2: the logits of glasses and of a mask over the nose. Small, as every face found is
    looked at once more; apart from Marks, so that its boxes and poses stay as they are."""

    def __init__(self, c=(16, 24, 48), hidden=48):
        super().__init__()
        def conv(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        self.body = nn.Sequential(conv(1, c[0]), conv(c[0], c[1]), conv(c[1], c[2]), nn.Dropout(0.1))
        # Convolutions over all there is: Debian's torch multiplies matrices several times slower.
        self.head = nn.Sequential(nn.Conv2d(c[2], hidden, (6, 5)), nn.ReLU(inplace=True), nn.Conv2d(hidden, 2, 1), nn.Flatten())

    def forward(self, x):
        return self.head(self.body(x))

    def flat(self):
        """The same with matrices for the last layers, which OpenCV runs faster."""
        wide, narrow = self.head[0], self.head[2]
        first, last = nn.Linear(wide.weight[0].numel(), len(wide.weight)), nn.Linear(len(wide.weight), 2)
        first.weight.data, first.bias.data = wide.weight.data.flatten(1), wide.bias.data
        last.weight.data, last.bias.data = narrow.weight.data.flatten(1), narrow.bias.data
        return nn.Sequential(self.body, nn.Flatten(), first, nn.ReLU(), last).eval()


def cut(celsius, box, turn=0.0):
    """The cut-out around a box and the map from picture to cut-out."""
    x, y, w, h = box
    a, b = CUT_WIDTH / (w * (1 + 2 * CUT_MARGIN)), CUT_HEIGHT / (h * (1 + 2 * CUT_MARGIN))
    c, s = np.cos(turn), np.sin(turn)
    m = np.array([[a * c, -a * s, 0], [b * s, b * c, 0]])
    m[:, 2] = np.array([CUT_WIDTH, CUT_HEIGHT]) / 2 - m[:, :2] @ [x + w / 2, y + h / 2]
    m[:, 2] += (m[:, :2].sum(1) - 1) / 2  # pixel centres
    scale = 1 / max(a, b)
    if scale > 1.5:
        celsius = cv2.GaussianBlur(celsius, (0, 0), 0.4 * scale)
    return cv2.warpAffine(celsius, m, (CUT_WIDTH, CUT_HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), m


def normalise_cut(picture):
    """Around the median of the middle, 4 K for 1, bent softly towards +-3."""
    y, x = CUT_HEIGHT // 4, CUT_WIDTH // 4
    x = (picture - np.median(picture[y:-y, x:-x])) / 4
    return x / np.sqrt(1 + (x / 3) ** 2)
