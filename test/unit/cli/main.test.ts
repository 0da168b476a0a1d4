import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../../lib/checkpoint/checkpoint.js';
import { resolveConfig } from '../../../lib/config/resolve.js';
import { modelOptions } from '../../../lib/config/schema.js';
import { cli } from '../support/cli.js';
import { fakeAddon, fakeTensors, progress, someLosses, tensor } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

let fake: ReturnType<typeof fakeAddon>;
beforeEach(() => {
  fake = fakeAddon();
  native.addon = fake.addon;
});

const SMALL = '--image-size 16 --base-width 4 --max-width 8 --batch-size 2 --steps 6 --sample-count 4'.split(
  ' ',
);

async function folderOfImages(): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'data'));
  const picture = sharp({ create: { width: 20, height: 20, channels: 3, background: '#123456' } }).png();
  for (const name of ['a', 'b', 'c']) await picture.clone().toFile(join(folder, 'data', `${name}.png`));
  return folder;
}

async function checkpointFile(changed?: (name: string) => boolean): Promise<string> {
  const path = join(await temporaryFolder(), 'san.safetensors');
  const config = resolveConfig([{ source: '', values: { imageSize: 16, baseWidth: 4, maxWidth: 8 } }]);
  const tensors = fakeTensors(modelOptions(config)).map((entry) =>
    changed?.(entry.name) ? tensor(entry.name, [3]) : entry,
  );
  await saveCheckpoint(path, { config, step: 5, images: 10, ...progress, tensors });
  return path;
}

describe('bad input', () => {
  it.each<[string, (folder: string) => string[], string, RegExp]>([
    ['no such folder', (f) => [join(f, 'none')], 'DATA_NOT_FOUND', /none/],
    ['a folder of text files', (f) => [join(f, 'texts')], 'DATA_EMPTY', /texts/],
    ['λ = 1.5', (f) => [join(f, 'data'), '--lambda', '1.5'], 'CONFIG', /^lambda = 1.5: .* from 0 to 1$/],
    ['λ = -1', (f) => [join(f, 'data'), '--lambda', '-1'], 'CONFIG', /^lambda = -1: .* from 0 to 1$/],
    ['λ = nothing', (f) => [join(f, 'data'), '--lambda='], 'CONFIG', /^lambda = "": .* from 0 to 1$/],
    [
      'widths that do not divide',
      (f) => [join(f, 'data'), '--widths', '16,12,8,8,8,4,4'],
      'CONFIG',
      /^widths\[0\] = 16 and widths\[1\] = 12: /,
    ],
    [
      'a config file with an unknown key',
      (f) => [join(f, 'data'), '--config', join(f, 'bad.yaml')],
      'CONFIG',
      /"stepz" in .*bad\.yaml; did you mean steps\?$/,
    ],
    [
      'a config file that is not there',
      (f) => [join(f, 'data'), '--config', join(f, 'no.yaml')],
      'CONFIG',
      /no\.yaml/,
    ],
    [
      'an --out that is a file',
      (f) => [join(f, 'data'), '--out', join(f, 'bad.yaml')],
      'OUTPUT',
      /bad\.yaml is a file/,
    ],
    [
      'an --out below a file',
      (f) => [join(f, 'data'), '--out', join(f, 'bad.yaml/x')],
      'OUTPUT',
      /bad\.yaml/,
    ],
    [
      'a preview over an image of the data',
      (f) => [join(f, 'data'), '--preview-augment', join(f, 'data/a.png')],
      'OUTPUT',
      /a\.png lies in the data /,
    ],
    [
      'a batch larger than the data',
      (f) => [join(f, 'data'), '--batch-size', '4'],
      'CONFIG',
      /batchSize = 4 .* 3;/,
    ],
  ])('for train: %s', async (_, args, code, message) => {
    const folder = await folderOfImages();
    await mkdir(join(folder, 'texts'));
    await writeFile(join(folder, 'texts', 'a.txt'), 'no image');
    await writeFile(join(folder, 'bad.yaml'), 'stepz: 3\n');
    const { status, out, err } = await cli('train', '--out', join(folder, 'run'), ...SMALL, ...args(folder));
    const line = err.split('\n').at(-2) ?? '';
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(line.startsWith(`error ERR_SAN_${code}: `)).toBe(true);
    expect(line.slice(line.indexOf(': ') + 2)).toMatch(message);
    expect(err).not.toMatch(/^\s+at /m);
  });

  it('for generate: a missing, a cut, a misshapen checkpoint, and one that announces a header of 2^60 bytes', async () => {
    const folder = await temporaryFolder();
    const grid = join(folder, 'grid.png');
    const huge = join(folder, 'huge.safetensors');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(2n ** 60n);
    await writeFile(huge, Buffer.concat([length, Buffer.from('{}')]));
    const cut = join(folder, 'cut.safetensors');
    await writeFile(cut, 'short');
    for (const [path, code] of [
      [join(folder, 'none'), 'NOT_FOUND'],
      [folder, 'NOT_FOUND'],
      [cut, 'FORMAT'],
      [huge, 'FORMAT'],
      [await checkpointFile((name) => name === 'kernel.latent'), 'MISMATCH'],
    ] as const) {
      const { status, err } = await cli('generate', path, '--grid', grid);
      expect(status).toBe(1);
      expect(err).toMatch(new RegExp(`^error ERR_SAN_CHECKPOINT_${code}: [^\\n]*\\n$`));
    }
    expect(await readdir(folder)).not.toContain('grid.png');
  });

  it.each(['--count 0', '--count many', '--seed -1', '--start-index 0.5'])(
    'for generate: %s',
    async (flag) => {
      const { status, err } = await cli('generate', 'run', '--grid', 'grid.png', ...flag.split(' '));
      expect(status).toBe(1);
      expect(err).toMatch(/^error ERR_SAN_OPTIONS: --[a-z-]+ = .*: expected a whole number from \d on\n$/);
    },
  );

  it('for generate: a number beyond those that are exact', async () => {
    const { err } = await cli('generate', 'run', '--grid', 'grid.png', '--seed', '9007199254740992');
    expect(err).toMatch(/--seed = 9007199254740992: expected a whole number from 0 to 9007199254740991\n$/);
  });

  it.each([
    ['generate run --grid a.png --threads 0', '--threads = 0', '1 to 1024'],
    ['generate run --grid a.png --threads 1e9', '--threads = 1000000000', '1 to 1024'],
    ['score run photos --out a.csv --threads 1025', '--threads = 1025', '1 to 1024'],
    ['evaluate run photos --threads 1025', 'threads = 1025', '1 to 1024'],
    ['interpolate run 0 1 --out a.png --frames 1', '--frames = 1', '2 to 100000'],
    ['interpolate run 0 1 --out a.png --frames 1e12', '--frames = 1000000000000', '2 to 100000'],
  ])('%s', async (line, what, range) => {
    expect(await cli(...line.split(' '))).toEqual({
      status: 1,
      out: '',
      err: `error ERR_SAN_OPTIONS: ${what}: expected a whole number from ${range}\n`,
    });
  });

  it('tells an unforeseen error in one line, and its stack when asked', async () => {
    fake.addon.createNetwork = () => Promise.reject(new Error('two\nlines'));
    const args = ['generate', await checkpointFile(), '--grid', join(await temporaryFolder(), 'a.png')];
    expect(await cli(...args)).toMatchObject({
      status: 1,
      err: 'error two lines (unexpected; SAN_NATIVE_DEBUG=1 shows where)\n',
    });
    vi.stubEnv('SAN_NATIVE_DEBUG', '1');
    const { err } = await cli(...args);
    vi.unstubAllEnvs();
    expect(err).toMatch(/^error two lines\nError: two\nlines\n\s+at /);
  });
});

describe('san-native train', () => {
  it('trains and says where things are', async () => {
    const folder = await folderOfImages();
    const run = join(folder, 'run');
    const { status, out, err } = await cli(
      'train',
      join(folder, 'data'),
      '-o',
      run,
      ...SMALL,
      '--w-gd',
      '0.5',
    );
    expect(status).toBe(0);
    expect(err).toMatch(/training on 3 images for 6 steps\n/);
    expect(err).toMatch(
      /step 6\/6 {2}12 images {2}\d+ images\/s {2}[\d.]+ s\/kimg {2}\d+ MB {2}LGD 1\.00 {2}LGI 0\.500 {2}LRZ 1\.00 {2}LRX 0\.333 {2}LLZ 2\.00 {2}GP 0\n/,
    );
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^finished after 6 steps, /),
      `checkpoint  ${join(run, 'checkpoints/step-000006.safetensors')}`,
      `samples     ${join(run, 'samples/000006.png')}`,
      `loss curve  ${join(run, 'losses.svg')}`,
      `report      ${join(run, 'report.html')}`,
      '',
    ]);
    expect(fake.trainerOptions[0]?.loss.wGD).toBe(0.5);
    const again = await cli('train', join(folder, 'data'), '-o', run, ...SMALL);
    expect(again).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^error ERR_SAN_OUTPUT: .* already holds a training run/),
    });
  });

  it('speaks JSON, one object a line, or not at all', async () => {
    const folder = await folderOfImages();
    const args = (run: string) => ['train', join(folder, 'data'), '-o', join(folder, run), ...SMALL];
    const { out, err } = await cli(...args('a'), '--json');
    const ticks = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ticks.at(-1)).toMatchObject({ type: 'end', stopped: 'finished', step: 6 });
    expect(err).toBe('');
    expect(await cli(...args('b'), '--quiet')).toEqual({ status: 0, out: '', err: '' });
  });

  it('names some skipped files', async () => {
    const folder = await folderOfImages();
    for (let i = 0; i < 5; i++) await writeFile(join(folder, 'data', `bad${i}.png`), 'no PNG');
    const { err } = await cli('train', join(folder, 'data'), '-o', join(folder, 'run'), ...SMALL);
    expect(err).toMatch(
      /skipped 5 files, .*skipped\.jsonl:\n {2}bad0\.png: .*\n {2}bad1\.png: .*\n {2}bad2\.png: .*\n {2}\.\.\.\n/,
    );
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'after %s ends with a checkpoint and status %i, deaf to nothing afterwards',
    async (signal, status) => {
      const folder = await folderOfImages();
      const before = process.listenerCount(signal);
      const settings = { onStep: (step: number) => void (step === 3 && process.emit(signal, signal)) };
      native.addon = fakeAddon(settings).addon;
      const result = await cli(
        'train',
        join(folder, 'data'),
        '-o',
        join(folder, 'run'),
        ...SMALL,
        '--steps',
        '1000',
      );
      expect(result.status).toBe(status);
      expect(result.err).toContain(
        `${signal}: saving a checkpoint after this step; once more leaves at once\n`,
      );
      expect(result.out).toMatch(/^aborted after 3 steps/);
      expect(await readdir(join(folder, 'run', 'checkpoints'))).toEqual(['step-000003.safetensors']);
      expect(process.listenerCount(signal)).toBe(before);
    },
  );

  it('fails with a loss that is not finite', async () => {
    native.addon = fakeAddon({ lossesAt: () => someLosses(Number.POSITIVE_INFINITY) }).addon;
    const folder = await folderOfImages();
    const { status, err } = await cli('train', join(folder, 'data'), '-o', join(folder, 'run'), ...SMALL);
    expect(status).toBe(1);
    expect(err).toMatch(
      /error ERR_SAN_NON_FINITE: loss lgd was not finite in 3 steps in a row up to step 3, and again/,
    );
  });
});

describe('san-native generate', () => {
  it('writes files named by index, and a sheet', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'drawn');
    const grid = join(folder, 'sheets/grid.png');
    const path = await checkpointFile();
    const result = await cli(
      'generate',
      path,
      '--count',
      '70',
      '--seed',
      '3',
      '--start-index',
      '5',
      '-o',
      out,
      '--grid',
      grid,
    );
    expect(result).toEqual({
      status: 0,
      // A slow machine tells its rate as well.
      out: expect.stringMatching(
        `^70 images of seed 3 from ${path} in ${out} and ${grid}(; .* images/s)?\n$`,
      ),
      err: '',
    });
    const names = (await readdir(out)).sort().filter((name) => name !== 'manifest.json');
    expect(names).toHaveLength(70);
    expect([names[0], names.at(-1)]).toEqual(['000000005.png', '000000074.png']);
    const level = async (name: string) => (await sharp(join(out, name)).raw().toBuffer())[0];
    expect(await level('000000005.png')).toBe(3 * 16 + 5);
    expect(await level('000000074.png')).toBe(3 * 16 + 74);
    expect(await sharp(grid).metadata()).toMatchObject({ width: (9 * 17 + 1) * 4, height: (8 * 17 + 1) * 4 });
    expect(fake.disposed).toHaveLength(1);
  });

  it('draws into an archive what is missing, and tells it as JSON', async () => {
    const folder = await temporaryFolder();
    const path = await checkpointFile();
    const out = join(folder, 'drawn.zip');
    const grid = join(folder, 'grid.png');
    const args = [
      'generate',
      path,
      '--count',
      '20',
      '--seed',
      '3',
      '--truncation',
      '0.5',
      '-o',
      out,
      '--json',
    ];
    const first = await cli(...args);
    expect(first).toMatchObject({ status: 0, err: '' });
    expect(JSON.parse(first.out)).toMatchObject({
      ...{ count: 20, seed: 3, startIndex: 0, truncation: 0.5, drawn: 20, kept: 0, step: 5, out },
    });
    const again = await cli(...args, '--grid', grid);
    expect(JSON.parse(again.out)).toMatchObject({ drawn: 0, kept: 20, grid });
    expect(await sharp(grid).metadata()).toMatchObject({ width: (5 * 17 + 1) * 4, height: (4 * 17 + 1) * 4 });
    const other = await cli(...args.slice(0, -1), '--seed', '4');
    expect(other.status).toBe(1);
    expect(other.err).toMatch(/^error ERR_SAN_OUTPUT: .*drawn\.zip was begun with seed 3, not 4; remove it/);
    expect(other.err).not.toContain('draws the rest');
  });

  it('and reverse, in JSON, name damaged checkpoints and the one that was taken', async () => {
    const folder = await folderOfImages();
    const checkpoints = join(folder, 'run/checkpoints');
    await mkdir(checkpoints, { recursive: true });
    const [path, cut] = [5, 9].map((step) => join(checkpoints, `step-00000${step}.safetensors`)) as [
      string,
      string,
    ];
    await rename(await checkpointFile(), path);
    await writeFile(cut, 'no checkpoint');
    const told = { checkpoint: path, step: 5, damaged: [{ path: cut, reason: expect.any(String) }] };
    const run = join(folder, 'run');
    const generated = await cli('generate', run, '--count', '1', '-o', join(folder, 'drawn'), '--json');
    expect(JSON.parse(generated.out)).toMatchObject(told);
    const args = ['reverse', run, join(folder, 'data'), '-o', join(folder, 'z.npy'), '--json', '--quiet'];
    const { out, err } = await cli(...args);
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ ...told, shape: [3, 64, 1, 1], skipped: [] });
  });

  it.each([
    ['--truncation 0.001', 'ERR_SAN_OPTIONS: --truncation = 0.001: expected a number from 0.01 on'],
    ['--batch-size 0', 'ERR_SAN_OPTIONS: --batch-size = 0: expected a whole number from 1 on'],
    [
      '--out a.tar.gz',
      'ERR_SAN_OUTPUT: cannot write images as .gz (a.tar.gz): name a folder for PNG files, or a .tar, .zip or .npy file, or write a.tar.gz/ for a folder of that very name',
    ],
    [
      '--out x.rar',
      'ERR_SAN_OUTPUT: cannot write images as .rar (x.rar): name a folder for PNG files, or a .tar, .zip or .npy file, or write x.rar/ for a folder of that very name; did you mean .tar?',
    ],
  ])('refuses %s before anything is loaded', async (flags, message) => {
    const args = flags.startsWith('--out') ? flags : `${flags} --out drawn`;
    const { status, err } = await cli('generate', 'nowhere', ...args.split(' '));
    expect({ status, err }).toEqual({ status: 1, err: `error ${message}\n` });
  });
});
