"""The metrics once more, by NumPy and SciPy, from the papers' formulas and docs/random-numbers.md alone.

Reads a list of cases from standard input, [{"metric", "real": {"file", "shape"}, "fake": ..., further settings}], and
prints the list of their results. Features and latents are float32 files, images are uint8 files.
"""
import json
import sys

import numpy as np
import scipy.linalg
import scipy.ndimage


def load(said, dtype):
    return np.fromfile(said['file'], dtype).reshape(said['shape'])


def features(case):
    return [load(case[side], np.float32).astype(np.float64) for side in ('real', 'fake')]


# Heusel et al. 2017, equation 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
def frechet(case):
    x, y = features(case)
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    rest = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(c1) + np.trace(c2)
    # tr (C1 C2)^(1/2) = tr (A C2 A)^(1/2), A = C1^(1/2), within the range of C1: there it has full rank.
    values, vectors = np.linalg.eigh(c1)
    kept = values > 1e-10 * values[-1]
    a = vectors[:, kept] * np.sqrt(values[kept])
    inner = np.linalg.eigvalsh(a.T @ c2 @ a)
    root = np.sqrt(inner[inner > 1e-12 * inner[-1]]).sum()
    product = scipy.linalg.sqrtm(c1 @ c2)
    return {'eigen': rest - 2 * root, 'sqrtm': rest - 2 * np.trace(product).real}


# Binkowski et al. 2018, section 4: the unbiased estimate of MMD^2.
def mmd(x, y):
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = [(a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    return xx.sum() / (n * (n - 1)) + yy.sum() / (m * (m - 1)) - 2 * xy.sum() / (n * m)


def kernel(case):
    x, y = features(case)
    if 'subsetSize' not in case:
        return {'whole': mmd(x, y)}
    draw = np.random.default_rng(11)
    estimates = [
        mmd(*(set_[draw.choice(len(set_), case['subsetSize'], replace=False)] for set_ in (x, y)))
        for _ in range(case['subsets'])
    ]
    return {'mean': np.mean(estimates), 'deviation': np.std(estimates, ddof=1)}


# Kynkaanniemi et al. 2019, equation 1.
def precision_recall(case):
    x, y = features(case)
    gaps = lambda a, b: np.stack([np.sqrt(((row - b) ** 2).sum(1)) for row in a])

    def radii(a):
        return np.sort(gaps(a, a), axis=1)[:, case['neighbours']]  # column 0 is the point itself

    between = gaps(y, x)
    return {
        'precision': (between <= radii(x)[None, :]).any(1).mean(),
        'recall': (between <= radii(y)[:, None]).any(0).mean(),
    }


def latents(case):
    z = load(case['latents'], np.float32).astype(np.float64)
    z = z.reshape(len(z), -1)
    covariance = np.atleast_2d(np.cov(z, rowvar=False))
    others = covariance[~np.eye(len(covariance), dtype=bool)]
    rms = lambda v: float(np.sqrt(np.mean(np.square(v)))) if v.size else 0.0
    return {'mean': rms(z.mean(0)), 'variance': rms(np.diag(covariance) - 1), 'covariance': rms(others)}


# Karras et al. 2018, section 5.
GAUSS = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def blur(images, gain=1):
    return scipy.ndimage.convolve(images, gain * GAUSS[None, None], mode='mirror')


def pyramid(images):
    levels = [images.transpose(0, 3, 1, 2).astype(np.float64)]
    while levels[-1].shape[2] % 2 == 0 and levels[-1].shape[2] >= 32:
        small = blur(levels[-1])[:, :, ::2, ::2]
        spread = np.zeros_like(levels[-1])
        spread[:, :, ::2, ::2] = small
        levels[-1] = levels[-1] - blur(spread, 4)
        levels.append(small)
    return levels


def patches_at(images, corners):
    """corners: (N, P, 2), left and top."""
    out = [images[i, :, t : t + 7, l : l + 7] for i in range(len(images)) for l, t in corners[i]]
    out = np.stack(out)
    out = (out - out.mean((0, 2, 3), keepdims=True)) / out.std((0, 2, 3), keepdims=True)
    return out.reshape(len(out), -1)


def distance(a, b, directions):
    return 1000 * np.mean(np.abs(np.sort(a @ directions.T, 0) - np.sort(b @ directions.T, 0)))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sliced(case):
    """One list of distances a seed, with randomness of NumPy's own."""
    levels = [pyramid(load(case[side], np.uint8)) for side in ('real', 'fake')]
    out = []
    for seed in case['seeds']:
        draw = np.random.default_rng(seed)
        found = []
        for a, b in zip(*levels):
            corners = [draw.integers(0, a.shape[2] - 6, (len(a), case['patchesPerImage'], 2)) for _ in 'ab']
            directions = unit(draw.standard_normal((case['directions'], a.shape[1] * 49)))
            found.append(distance(patches_at(a, corners[0]), patches_at(b, corners[1]), directions))
        out.append(found)
    return out


def philox(seed, stream, index, blocks):
    """(blocks, 4) words: docs/random-numbers.md."""
    c = [np.arange(blocks, dtype=np.uint64), stream, index & 0xFFFFFFFF, index >> 32]
    c = [np.broadcast_to(np.uint64(x), blocks) for x in c]
    key, low = [seed & 0xFFFFFFFF, seed >> 32], np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), a & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1)


def documented_normals(seed, stream, index, count):
    words = philox(seed, stream, index, -(-count // 4)).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log(((words[:, 0] >> np.uint64(8)) + np.uint64(1)) / 2**24))
    turn = 2 * np.pi * (words[:, 1] >> np.uint64(8)) / 2**24
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).ravel()[:count]


def sliced_documented(case):
    """With the patches and directions that docs/random-numbers.md gives for the seed."""
    levels = [pyramid(load(case[side], np.uint8)) for side in ('real', 'fake')]
    count, seed, out = case['patchesPerImage'], case['seed'], []
    for number, pair in enumerate(zip(*levels)):
        points = []
        for side, images in enumerate(pair):
            corners = []
            for i in range(len(images)):
                words = philox(seed, 7, ((2 * number + side) << 32) + i, -(-2 * count // 4)).ravel()[: 2 * count]
                corners.append((words * np.uint64(images.shape[2] - 6) >> np.uint64(32)).astype(int).reshape(-1, 2))
            points.append(patches_at(images, np.stack(corners)))
        length = points[0].shape[1]
        drawn = [documented_normals(seed, 8, (number << 32) + i, length) for i in range(case['directions'])]
        out.append(distance(*points, unit(np.stack(drawn))))
    return out


METRICS = {
    'frechet': frechet,
    'kernel': kernel,
    'precisionRecall': precision_recall,
    'latents': latents,
    'sliced': sliced,
    'slicedDocumented': sliced_documented,
}
print(json.dumps([METRICS[case['metric']](case) for case in json.load(sys.stdin)]))
