"""Makes feature extractors as TorchScript files, and says what features they give.

extractor_oracle.py tiny FILE            writes the extractor that is kept beside this file, data/extractor.pt
extractor_oracle.py compare FOLDER       reads FOLDER/images.json, {"file", "shape"} of uint8 images; writes plain.pt
                                         and named.pt there; prints {"plain": [...], "named": [...]}, flat features
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F


class Tiny(torch.nn.Module):
    """Three colours and twice the first one, as (N, 4, H, W). Only with return_features; never 13 pixels wide."""

    def forward(self, x, return_features: bool = False):
        if x.size(3) == 13:
            raise RuntimeError('thirteen pixels are unlucky')
        if not return_features:
            return x.new_zeros((x.size(0), 2))
        return torch.cat([x, 2 * x[:, :1]], 1)


class Plain(torch.nn.Module):
    """(N, 6) from images of 24 by 24 pixels. Dropout, so that evaluation mode counts."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 5, stride=3)
        self.second = torch.nn.Linear(8, 6)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x):
        assert x.size(2) == 24 and x.size(3) == 24
        return self.second(self.dropout(torch.relu(self.first(x))).amax((2, 3)))


class Named(torch.nn.Module):
    """Features (N, 8, H, W) or, without return_features, something else."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 5, stride=3)

    def forward(self, x, other: int = 1, return_features: bool = False):
        y = torch.relu(self.first(x))
        return y if return_features else y.amax((1, 2, 3)) + other


def compare(folder):
    with open(f'{folder}/images.json') as file:
        said = json.load(file)
    images = torch.from_numpy(np.fromfile(f'{folder}/{said["file"]}', np.uint8).reshape(said['shape']).copy())
    torch.manual_seed(1)
    plain, named = Plain().eval(), Named().eval()
    trained = torch.jit.script(plain)
    trained.train()  # loading must put it back
    trained.save(f'{folder}/plain.pt')
    torch.jit.script(named).save(f'{folder}/named.pt')
    x = images.permute(0, 3, 1, 2).float().repeat(1, 3 // images.shape[3], 1, 1)
    resized = F.interpolate(x, (24, 24), mode='bicubic', antialias=True, align_corners=False)
    plain.eval()
    with torch.no_grad():
        out = {
            'plain': plain(resized / 127.5 - 1),
            'named': named(x, return_features=True).mean((2, 3)),
        }
    print(json.dumps({name: features.flatten().tolist() for name, features in out.items()}))


if sys.argv[1] == 'tiny':
    torch.jit.script(Tiny()).save(sys.argv[2])
else:
    compare(sys.argv[2])
