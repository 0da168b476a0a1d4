"""Whether every PNG file of a folder, a .tar and a .zip decodes to the bytes of the .npy, by other programs' eyes."""
import io
import json
import sys
import tarfile
import zipfile

import numpy as np
from PIL import Image

folder, first = sys.argv[1], int(sys.argv[2])
images = np.load(f"{folder}/drawn.npy", mmap_mode="r")
raw = open(f"{folder}/drawn.raw", "rb").read()
archive = zipfile.ZipFile(f"{folder}/drawn.zip")
tape = tarfile.open(f"{folder}/drawn.tar")
names = [f"{first + i:09d}.png" for i in range(len(images))]
wrong = []
for i, name in enumerate(names):
    places = {
        "folder": open(f"{folder}/drawn/{name}", "rb").read(),
        "zip": archive.read(name),
        "tar": tape.extractfile(name).read(),
    }
    for place, file in places.items():
        image = Image.open(io.BytesIO(file))
        pixels = np.asarray(image).reshape(images.shape[1:])
        if image.mode != ("L" if images.shape[3] == 1 else "RGB") or not np.array_equal(pixels, images[i]):
            wrong.append(f"{place}: {name}")
print(
    json.dumps(
        {
            "shape": images.shape,
            "dtype": str(images.dtype),
            "raw": raw == images.tobytes(),
            "names": archive.namelist() == names and tape.getnames() == names,
            "damaged": archive.testzip(),
            "compressed": any(info.compress_type for info in archive.infolist()),
            "wrong": wrong,
        }
    )
)
