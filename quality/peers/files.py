"""Images and labels from disk, and files that appear whole or not at all."""
import gzip
import os
from pathlib import Path

import numpy


def read_images(path):
    """An .npy file of uint8 images (N, S, S, C), as `san-native prepare` writes it."""
    images = numpy.load(path, mmap_mode="r")
    if images.dtype != numpy.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise SystemExit(f"{path}: wanted uint8 images of shape (N, S, S, C), found {images.dtype} {images.shape}")
    return images


def read_labels(path):
    """An IDX file of labels, gzipped or not -> int64 (N)."""
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    count = int.from_bytes(data[4:8], "big")
    if data[:4] != b"\0\0\x08\x01" or len(data) != 8 + count:
        raise SystemExit(f"{path} is no IDX file of labels")
    return numpy.frombuffer(data, numpy.uint8, offset=8).astype(numpy.int64)


def read_folds(path):
    """An .npy file of uint8 (N, 2) -> labels and folds, int64 (N) each."""
    rows = numpy.load(path)
    if rows.dtype != numpy.uint8 or rows.ndim != 2 or rows.shape[1] != 2:
        raise SystemExit(f"{path}: wanted uint8 labels and folds of shape (N, 2), found {rows.dtype} {rows.shape}")
    return rows[:, 0].astype(numpy.int64), rows[:, 1].astype(numpy.int64)


def write_whole(path, write):
    """write(temporary path), then the rename."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    write(temporary)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def save_images(path, images):
    """uint8 (N, S, S, C) -> .npy"""
    def write(temporary):
        with open(temporary, "wb") as file:
            numpy.save(file, images)
    write_whole(path, write)
