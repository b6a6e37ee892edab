"""The network: one channel in, a map of face centres and what belongs to them out, at a quarter of the input size."""
import torch
import torch.nn as nn

STRIDE = 4
# Channels of the output: centre, box, landmarks, pose (frontal, three-quarter, profile), glasses, mask, forehead covered.
HEAT, BOX, LANDMARKS, POSE, COVER, CHANNELS = 0, slice(1, 5), slice(5, 15), slice(15, 18), slice(18, 21), 21


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
    """Down to stride 16 and back up to stride 4. Its shape follows what OpenCV 4.6 runs fast on one core: full
    convolutions where the map is small, depthwise ones where it is 18 columns wide or more, few additions at stride 4."""

    def __init__(self, c=(8, 24, 48, 64), up=32):
        super().__init__()
        self.s4 = nn.Sequential(conv(1, c[0], 3, 2), conv(c[0], c[1], 3, 2), Separable(c[1], c[1]))
        self.s8 = nn.Sequential(Separable(c[1], c[2], 2), *[Separable(c[2], c[2], shortcut=True) for _ in range(2)])
        self.s16 = nn.Sequential(Separable(c[2], c[3], 2), conv(c[3], c[3]), conv(c[3], c[3]))
        self.from4, self.from8, self.from16 = nn.Conv2d(c[1], up, 1), nn.Conv2d(c[2], up, 1), nn.Conv2d(c[3], up, 1)
        self.join8, self.join4 = Separable(up, up, shortcut=True), Separable(up, up)
        self.head = nn.Sequential(Separable(up, up), nn.Conv2d(up, CHANNELS, 1))
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        with torch.no_grad():
            self.head[-1].bias.zero_()
            self.head[-1].bias[HEAT] = -4
            self.head[-1].bias[3:5] = 2

    def forward(self, x):
        a = self.s4(x)
        b = self.s8(a)
        p = self.join8(self.from8(b) + self.enlarge(self.from16(self.s16(b))))
        return self.head(self.join4(self.from4(a) + self.enlarge(p)))
