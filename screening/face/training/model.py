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
    """A depthwise and a pointwise convolution, with a shortcut where the shape allows."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.depthwise = conv(inputs, inputs, 3, stride, inputs)
        self.pointwise = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x):
        y = self.pointwise(self.depthwise(x))
        return torch.relu(x + y if self.shortcut else y)


class Net(nn.Module):
    def __init__(self, c=(8, 24, 48, 64), f=32, blocks=(1, 2, 3), head=40):
        super().__init__()
        self.stem = conv(1, c[0], 3, 2)
        self.s4 = nn.Sequential(conv(c[0], c[1], 3, 2), *[Separable(c[1], c[1]) for _ in range(blocks[0])])
        self.s8 = nn.Sequential(Separable(c[1], c[2], 2), *[Separable(c[2], c[2]) for _ in range(blocks[1])])
        self.s16 = nn.Sequential(Separable(c[2], c[3], 2), *[Separable(c[3], c[3]) for _ in range(blocks[2])])
        self.l16, self.l8, self.l4 = nn.Conv2d(c[3], f, 1), nn.Conv2d(c[2], f, 1), nn.Conv2d(c[1], f, 1)
        self.m8, self.m4 = Separable(f, f), Separable(f, f)
        self.head = nn.Sequential(conv(f, f, 3, 1, f), conv(f, head, 1), nn.Conv2d(head, CHANNELS, 1))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        with torch.no_grad():
            self.head[-1].bias.zero_()
            self.head[-1].bias[HEAT] = -4
            self.head[-1].bias[3:5] = 2

    def forward(self, x):
        a = self.s4(self.stem(x))
        b = self.s8(a)
        p = self.m8(self.l8(b) + self.up(self.l16(self.s16(b))))
        return self.head(self.m4(self.l4(a) + self.up(p)))
