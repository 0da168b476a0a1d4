"""Trains the classifier whose features the comparison is measured in, with a fixed seed: TorchScript files for
`san-native evaluate --extractor` (range 0..255, any size from 16 pixels; seen in training: the size of --images).

features.pt  (N, 3, S, S) -> (N, 64): activations of the last hidden layer, for fd, kid, precision and recall
kinds.pt     (N, 3, S, S) -> (N, K): probabilities of the labels
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from files import read_folds, read_images, read_labels, write_whole

FEATURES = 64


class Body(nn.Module):
    """(N, 3, S, S) in [0, 255], grey in three channels -> (N, FEATURES)"""

    def __init__(self, channels: int):
        super().__init__()
        layers = []
        for inputs, outputs in ((channels, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.grey = channels == 1
        self.layers = nn.Sequential(*layers)
        self.hidden = nn.Linear(128 * 16, FEATURES)

    def forward(self, x):
        if self.grey:
            x = x.mean(1, keepdim=True)
        x = F.adaptive_avg_pool2d(self.layers(x / 127.5 - 1), (4, 4))
        return F.relu(self.hidden(x.flatten(1)))


class Kinds(nn.Module):
    def __init__(self, body, head):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x):
        return torch.softmax(self.head(self.body(x)), 1)


def batch_of(images, index):
    x = torch.from_numpy(images[index.numpy()]).permute(0, 3, 1, 2).float()
    return x.expand(-1, 3, -1, -1)


def moved(x, most):
    """Each image some pixels to a side, its border repeated."""
    size = x.shape[2]
    at = torch.randint(2 * most + 1, (2, len(x)))
    padded = F.pad(x, (most,) * 4, mode="replicate")
    return torch.stack([image[:, a:a + size, b:b + size] for image, a, b in zip(padded, *at.tolist())])


def parts_of(options):
    """(images, labels, rows of training) and (images, labels, rows of testing)"""
    images = read_images(options.images)
    if options.test_images:
        labels, tests = read_labels(options.labels), read_images(options.test_images)
        expected = read_labels(options.test_labels)
        return (images, torch.from_numpy(labels), torch.arange(len(images))), (
            tests, torch.from_numpy(expected), torch.arange(len(tests)))
    labels, folds = map(torch.from_numpy, read_folds(options.labels))
    if len(labels) != len(images):
        raise SystemExit(f"{options.labels}: {len(labels)} labels for {len(images)} images")
    return (images, labels, (folds != 0).nonzero()[:, 0]), (images, labels, (folds == 0).nonzero()[:, 0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help=".npy of training images")
    parser.add_argument("--labels", required=True, help="IDX file of their labels; without --test-images, .npy of "
                        "uint8 (N, 2): label and fold, of which the first is tested with")
    parser.add_argument("--test-images")
    parser.add_argument("--test-labels")
    parser.add_argument("--out", required=True, help="folder for features.pt, kinds.pt and classifier.json")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    (images, labels, rows), (tests, expected, test_rows) = parts_of(options)
    few = not options.test_images
    body, head = Body(images.shape[3]), nn.Linear(FEATURES, int(labels.max()) + 1)
    model = nn.Sequential(body, head)
    batch = 128
    steps = options.epochs * (len(rows) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    begin = time.perf_counter()
    for epoch in range(options.epochs):
        for index in torch.randperm(len(rows))[: len(rows) // batch * batch].split(batch):
            x = batch_of(images, rows[index])
            # Mirror images, so that the features do not hang on the side a sleeve is on.
            x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
            if few:
                x = moved(x, images.shape[1] // 8)
            loss = F.cross_entropy(model(x), labels[rows[index]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % max(1, options.epochs // 10) == 0 or epoch + 1 == options.epochs:
            print(f"loss {loss.item():.3f}  {time.perf_counter() - begin:.0f} s", flush=True)

    model.eval()
    kinds = Kinds(body, head).eval()
    with torch.inference_mode():
        found = torch.cat([kinds(batch_of(tests, index)) for index in test_rows.split(256)])
        confident = found.amax(1) >= 0.9
        report = {
            "accuracy": (found.argmax(1) == expected[test_rows]).double().mean().item(),
            "confident": confident.double().mean().item(),
            "seed": options.seed, "epochs": options.epochs, "torch": str(torch.__version__),
        }
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "kinds.pt", lambda path: torch.jit.script(kinds).save(str(path)))
    write_whole(out / "features.pt", lambda path: torch.jit.script(body).save(str(path)))
    write_whole(out / "classifier.json", lambda path: path.write_text(json.dumps(report) + "\n"))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
