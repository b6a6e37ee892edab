"""Writes the mean of one or more weights as ONNX, batch norms folded, and checks that OpenCV gives the same output:
export.py OUT.onnx IN.pt…"""
import sys

import cv2
import numpy as np
import torch

import predict


def export(path, weights):
    net = predict.load(*weights)
    net.forward = net.places
    torch.onnx.export(net, torch.zeros(1, 1, 160, 144), path, opset_version=11, input_names=["celsius"], output_names=["faces"])
    twin = cv2.dnn.readNetFromONNX(path)
    worst = 0
    for height, width in ((160, 144), (128, 160), (320, 416)):
        x = np.random.default_rng(1).normal(0, 1, (1, 1, height, width)).astype(np.float32)
        twin.setInput(x)
        with torch.no_grad():
            worst = max(worst, float(np.abs(net(torch.from_numpy(x)).numpy() - twin.forward()).max()))
    print(f"largest difference between OpenCV and torch: {worst:.1e}")
    if worst > 1e-3:
        sys.exit("OpenCV does not run this network as torch does")


if __name__ == "__main__":
    export(sys.argv[1], sys.argv[2:])
