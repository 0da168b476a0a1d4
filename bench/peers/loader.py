"""PyTorch's DataLoader on a memory-mapped .npy file, as its users write it: a Dataset, transforms on each image, shuffled
batches, workers that stay. The transforms are torchvision's of the same names, written out here in torch with the same
operations on tensors, for torchvision is no requirement of these benchmarks."""
import math

import numpy
import torch
import torch.nn.functional as F
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

import worker


def random_resized_crop(x, scale):
    """transforms.RandomResizedCrop(size, (scale, 1)): integer crop, bilinear."""
    size = x.shape[-1]
    area = size * size * (scale + (1 - scale) * torch.rand(()).item())
    ratio = math.exp((torch.rand(()).item() * 2 - 1) * math.log(4 / 3))
    w, h = min(size, round(math.sqrt(area * ratio))), min(size, round(math.sqrt(area / ratio)))
    top, left = int(torch.randint(0, size - h + 1, ())), int(torch.randint(0, size - w + 1, ()))
    x = x[..., top : top + h, left : left + w]
    return F.interpolate(x[None], size=(size, size), mode="bilinear", align_corners=False)[0]


def grey_of(x):
    return (x[0] * 0.2989 + x[1] * 0.587 + x[2] * 0.114).unsqueeze(0)


def blend(x, other, factor):
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def around_one(strength):
    return 1 + (torch.rand(()).item() * 2 - 1) * strength


def adjust_hue(x, turn):
    """As torchvision: to HSV, hue moved, back."""
    high, low = x.max(0).values, x.min(0).values
    spread = high - low
    flat = high == low
    saturation = spread / torch.where(flat, torch.ones_like(high), high)
    divisor = torch.where(flat, torch.ones_like(high), spread)
    r, g, b = (high - x) / divisor
    hue = torch.where(x[0] == high, b - g, torch.where(x[1] == high, 2 + r - b, 4 + g - r))
    hue = torch.fmod(hue / 6 + 1 + turn, 1)
    sector = torch.floor(hue * 6)
    f = hue * 6 - sector
    p = (high * (1 - saturation)).clamp(0, 1)
    q = (high * (1 - saturation * f)).clamp(0, 1)
    t = (high * (1 - saturation * (1 - f))).clamp(0, 1)
    sector = sector.to(torch.int64) % 6
    table = torch.stack([torch.stack([high, q, p, p, t, high]), torch.stack([t, high, high, q, p, p]),
                         torch.stack([p, p, t, high, high, q])])
    return table.gather(1, sector.expand(3, 1, *sector.shape)).squeeze(1)


class Transform:
    def __init__(self, augmentation):
        self.a = augmentation

    def happens(self, name):
        return torch.rand(()).item() < self.a[name + "Probability"]

    def __call__(self, x):
        """uint8 (H, W, C) -> float32 (C, H, W) in [-1, 1]."""
        a = self.a
        x = x.permute(2, 0, 1).to(torch.float32).div(255)
        if a["cropScale"] < 1 and self.happens("crop"):
            x = random_resized_crop(x, a["cropScale"])
        if a["flipHorizontal"] > 0 and torch.rand(()).item() < a["flipHorizontal"]:
            x = x.flip(-1)
        if a["brightness"] > 0 and self.happens("brightness"):
            x = (x * around_one(a["brightness"])).clamp(0, 1)
        if a["contrast"] > 0 and self.happens("contrast"):
            x = blend(x, grey_of(x).mean(), around_one(a["contrast"]))
        if a["saturation"] > 0 and self.happens("saturation"):
            x = blend(x, grey_of(x), around_one(a["saturation"]))
        if a["hue"] > 0 and self.happens("hue"):
            x = adjust_hue(x, (torch.rand(()).item() * 2 - 1) * a["hue"])
        return x.sub(0.5).div(0.5)


class Images(Dataset):
    def __init__(self, path, transform):
        self.pixels, self.transform = numpy.load(path, mmap_mode="r"), transform

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.transform(torch.from_numpy(self.pixels[index].copy()))


class Batches(Images):
    """Whole batches by one indexing, for those who know; augmented ones image by image still."""

    def __init__(self, path, transform, augments):
        super().__init__(path, transform)
        self.augments = augments

    def __getitem__(self, indices):
        pixels = torch.from_numpy(self.pixels[indices])
        if self.augments:
            return torch.stack([self.transform(image) for image in pixels])
        return pixels.permute(0, 3, 1, 2).to(torch.float32).div(127.5).sub(1)


def open_peer(options):
    # One thread in each process, as the workers have it.
    torch.set_num_threads(1)
    a, workers, batch = options["augmentation"], options["workers"], options["batch"]
    transform = Transform(a)
    stay = {"persistent_workers": True} if workers > 0 else {}
    if options["tensors"]:
        augments = a["flipHorizontal"] > 0
        data = Batches(options["path"], transform, augments)
        sampler = BatchSampler(RandomSampler(data), batch, drop_last=True)
        loader = DataLoader(data, sampler=sampler, batch_size=None, num_workers=workers, **stay)
    else:
        data = Images(options["path"], transform)
        loader = DataLoader(data, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers, **stay)

    def endless():
        while True:
            yield from loader

    batches = endless()
    first = next(batches)
    assert first.shape[0] == batch and first.dtype == torch.float32 and -1 <= first.min() and first.max() <= 1

    def work(items):
        done = 0
        while done < items:
            done += len(next(batches))
        return done

    return {"torch": torch.__version__, "workers": workers}, work


if __name__ == "__main__":
    worker.serve(open_peer)
