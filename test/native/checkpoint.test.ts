/** The checkpoint of a real run: what Python sees in it, and that no damage to it goes unseen. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadCheckpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadAddon } from '../../lib/native.js';
import { train } from '../../lib/training/train.js';
import { savePhotos } from './photos.js';
import { findPython } from './python.js';

/** Damaged files that are tried. */
const DAMAGED = 1000;

const addon = loadAddon();
const python = findPython('numpy, safetensors', 'the reading of a checkpoint with Python');
let folder = '';
let path = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'san-native-test-'));
  const data = await savePhotos(join(folder, 'photos'));
  const out = join(folder, 'run');
  const settings = {
    imageSize: 8,
    widths: [8, 8, 4, 4, 4, 4, 4],
    latentChannels: 4,
    batchSize: 4,
    steps: 5,
    sampleCount: 4,
  };
  for await (const tick of train({ data, out, ...settings }))
    if (tick.type === 'end') path = tick.checkpoint ?? '';
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(python === undefined)("safetensors' own reader finds every tensor and number", async () => {
  const script = `
import hashlib, json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'numpy') as f:
    tensors = {k: f.get_tensor(k) for k in f.keys()}
    print(json.dumps([f.metadata(), {k: [str(v.dtype), list(v.shape), hashlib.sha256(v.tobytes()).hexdigest()] for k, v in tensors.items()}]))`;
  const output = execFileSync(python as string, ['-c', script, path], { encoding: 'utf8' });
  const [metadata, theirs] = JSON.parse(output);
  expect(metadata).toMatchObject({ format: 'san-native', version: '1', step: '5', images: '20' });
  expect(JSON.parse(metadata.config)).toMatchObject({ imageSize: 8, batchSize: 4 });
  const { tensors } = await loadCheckpoint(path, addon);
  const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
  const ours = tensors.map(({ name, dtype, shape, data }) => [name, [dtype, shape, sha256(data)]]);
  expect(theirs).toEqual(Object.fromEntries(ours));
  for (const kind of ['kernel.', 'generator.', 'reverser.', 'ema.', 'exp_avg.', 'exp_avg_sq.'])
    expect(Object.keys(theirs).some((name) => name.startsWith(kind))).toBe(true);
});

test(`a bit flipped or a tail cut off, ${DAMAGED} times: each is found, none is loaded`, async () => {
  const whole = readFileSync(path);
  const damaged = join(folder, 'damaged.safetensors');
  const damage = fc.oneof(
    fc.record({ at: fc.nat(whole.length - 1), bit: fc.nat(7) }),
    fc.record({ length: fc.nat(whole.length - 1) }),
  );
  let found = 0;
  await fc.assert(
    fc.asyncProperty(damage, async (damage) => {
      const bytes = Buffer.from(whole);
      if ('at' in damage) bytes.writeUInt8(bytes.readUInt8(damage.at) ^ (1 << damage.bit), damage.at);
      writeFileSync(damaged, 'at' in damage ? bytes : bytes.subarray(0, damage.length));
      const outcome = await loadCheckpoint(damaged, addon).catch((error: unknown) => error);
      expect(outcome).toMatchObject({ code: 'ERR_SAN_CHECKPOINT_FORMAT' });
      found++;
    }),
    { numRuns: DAMAGED },
  );
  console.log(`${found} of ${DAMAGED} damaged checkpoints of ${whole.length} bytes were found`);
  writeFileSync(damaged, whole);
  expect((await loadCheckpoint(damaged, addon)).step).toBe(5);
});
