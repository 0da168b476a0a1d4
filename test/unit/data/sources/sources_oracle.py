"""Makes sources with Python's own libraries, and says what is in them: name, label, SHA-256 of bytes or pixels."""
import gzip, hashlib, io, json, os, sys, tarfile, zipfile
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq
from PIL import Image

pictures, out = sys.argv[1:3]
os.chdir(out)
names = sorted(n for n in os.listdir(pictures) if not n.startswith('.'))
files = {n: open(os.path.join(pictures, n), 'rb').read() for n in names}
told = {}

def sha(data):
    return hashlib.sha256(data).hexdigest()

def item(name, data, label=None):
    return [name, label, sha(data)]

def pixels(data):
    """RGBA, decoded by Pillow."""
    return Image.open(io.BytesIO(data)).convert('RGBA').tobytes()

told['zip'] = []
with zipfile.ZipFile('zip', 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    for n in names:
        archive.writestr('emoji/' + n, files[n])
        told['zip'].append(item('emoji/' + n, files[n], 'emoji'))

for name, mode in (('tar', 'w'), ('tar.gz', 'w:gz')):
    told[name] = []
    with tarfile.open(name, mode, **({'compresslevel': 1} if mode == 'w:gz' else {})) as archive:
        for n in names:
            info = tarfile.TarInfo(n)
            info.size = len(files[n])
            archive.addfile(info, io.BytesIO(files[n]))
            told[name].append(item(n, files[n]))

told['shards-{000..002}.tar'] = []
for s in range(3):
    with tarfile.open(f'shards-{s:03}.tar', 'w') as archive:
        for i, n in enumerate(names[s::3][:400]):
            for ext, data in (('cls', str(i % 7).encode()), ('webp', files[n]), ('json', b'{"width": 1}')):
                info = tarfile.TarInfo(f'{i:05}.{ext}')
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            told['shards-{000..002}.tar'].append(item(f'shards-{s:03}.tar/{i:05}.webp', files[n], i % 7))

os.mkdir('parquet')
told['parquet'] = []
classes = ['even', 'odd']
info = {'info': {'features': {'image': {'_type': 'Image'}, 'label': {'_type': 'ClassLabel', 'names': classes}}}}
for s in range(2):
    part = names[s::2][:500]
    file = f'train-{s:05}-of-00002.parquet'
    table = pa.table({
        'image': pa.array([{'bytes': files[n], 'path': n} for n in part], pa.struct([('bytes', pa.binary()), ('path', pa.string())])),
        'label': pa.array([i % 2 for i in range(len(part))], pa.int64()),
    }).replace_schema_metadata({'huggingface': json.dumps(info)})
    pq.write_table(table, 'parquet/' + file, row_group_size=100)
    told['parquet'] += [item(f'{file}[{i}]', files[n], classes[i % 2]) for i, n in enumerate(part)]

random = np.random.default_rng(1)
def arrays(name, file, images, labels=None):
    told[name] = told.get(name, []) + [item(f'{file}[{i}]', image.tobytes(), None if labels is None else labels[i]) for i, image in enumerate(images)]

os.mkdir('cifar10')
words = 'airplane automobile bird cat deer dog frog horse ship truck'.split()
open('cifar10/batches.meta.txt', 'w').write('\n'.join(words) + '\n\n')
for b in (1, 2, 3):
    images = random.integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, 500, dtype=np.uint8)
    np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(500, -1)], 1).tofile(f'cifar10/data_batch_{b}.bin')
    arrays('cifar10', f'data_batch_{b}.bin', images, [words[l] for l in labels])

images = random.integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
fine = random.integers(0, 100, 500, dtype=np.uint8)
records = np.concatenate([(fine // 5)[:, None], fine[:, None], images.transpose(0, 3, 1, 2).reshape(500, -1)], 1)
gzip.open('cifar100.bin.gz', 'wb', 1).write(records.tobytes())
arrays('cifar100.bin.gz', 'cifar100.bin.gz', images, fine.tolist())

grey = random.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
np.save('grey.npy', grey)
arrays('grey.npy', 'grey.npy', grey)
colour = random.integers(0, 256, (300, 48, 64, 3), dtype=np.uint8)
np.save('colour.npy', colour)
arrays('colour.npy', 'colour.npy', colour)
with gzip.open('alpha.npy.gz', 'wb', 1) as file: np.save(file, np.concatenate([colour, colour[..., :1]], 3))
arrays('alpha.npy.gz', 'alpha.npy.gz', np.concatenate([colour, colour[..., :1]], 3))

labels = random.integers(0, 10, 1000, dtype=np.uint8)
gzip.open('t10k-images-idx3-ubyte.gz', 'wb', 1).write(bytes([0, 0, 8, 3]) + np.array(grey.shape, '>u4').tobytes() + grey.tobytes())
gzip.open('t10k-labels-idx1-ubyte.gz', 'wb', 1).write(bytes([0, 0, 8, 1]) + np.array([1000], '>u4').tobytes() + labels.tobytes())
arrays('t10k-images-idx3-ubyte.gz', 't10k-images-idx3-ubyte.gz', grey, labels.tolist())

# Folders are told by walking them; what Pillow opens is an image.
def walk(root):
    found = []
    for folder, folders, files_ in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith('.')]
        for n in files_:
            path = os.path.join(folder, n)
            if n.startswith("."): continue
            data = open(path, 'rb').read()
            try: Image.open(io.BytesIO(data))
            except Exception: continue
            name = os.path.relpath(path, root)
            found.append(item(name, data, name.split('/')[0] if '/' in name else None))
    return sorted(found, key=lambda one: one[0].encode('utf-16-be'))

for root in [pictures] + sys.argv[3:]: told[root] = walk(root)
json.dump({'told': told, 'pixels': {n: sha(pixels(files[n])) for n in names}}, open('told.json', 'w'))
