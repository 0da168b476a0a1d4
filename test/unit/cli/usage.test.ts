import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fields } from '../../../lib/config/fields.js';
import { cli } from '../support/cli.js';
import { fakeAddon } from '../support/fake-addon.js';
import { native } from '../support/mocked-native.js';
import { temporaryFolder } from '../support/temporary.js';

vi.mock('../../../lib/native.js', async (original) =>
  (await import('../support/mocked-native.js')).mocked(await original()),
);

beforeEach(() => {
  native.addon = fakeAddon().addon;
});

const booleanFault = (flag: string, value: string) =>
  `${flag}=${value}: expected ${flag}, ${flag}=true or ${flag}=false`;

describe('a wrong command line', () => {
  it.each([
    ['trian photos --out run', 'unknown command trian; did you mean train?'],
    ['frobnicate', 'unknown command frobnicate'],
    ['trian -h', 'unknown command trian; did you mean train?'],
    ['help trian', 'unknown command trian; did you mean train?'],
    ['-v', 'unknown flag -v; did you mean --version?'],
    ['-V', 'unknown flag -V; did you mean --version?'],
    ['generate run -o', 'the flag -o needs a value'],
    ['generate run --precision fp16', '--precision fp16: expected fp32 or bf16; did you mean fp32?'],
    ['cache lst', 'lst: expected list, clear or path; did you mean list?'],
    [
      'interpolate run 0 1 --out w.png --fps 10',
      '--fps is for an animation; name one with --animation FILE.webp',
    ],
    [
      'interpolate run 0 1 --out w.png --ping-pong',
      '--ping-pong is for an animation; name one with --animation FILE.webp',
    ],
    [
      'train photos --print-config --dry-run',
      '--print-config and --dry-run: each leaves afterwards; choose one',
    ],
    [
      'train photos --preview-augment seen.jpg',
      '--preview-augment seen.jpg: the picture is a PNG file; give it a name that ends in .png',
    ],
    [
      '--lamda 3',
      'a command is missing: train, generate, evaluate, reverse, reconstruct, interpolate, score, neighbors, export, inspect, data, prepare, cache, setup, schema',
    ],
    ['train', 'an argument is missing: san-native train <data>'],
    ['train photos', 'the flag --out is missing'],
    ['train photos more --out run', 'unexpected argument more'],
    ['train photos --out run --lamda 0.5', 'unknown flag --lamda; did you mean --lambda?'],
    ['train photos --out run --lamda=0.5', 'unknown flag --lamda; did you mean --lambda?'],
    ['train photos --out run --lr 0.5', 'unknown flag --lr; did you mean --learning-rate?'],
    ['train photos --out run --wGD 1', 'unknown flag --wGD; did you mean --w-gd?'],
    ['train photos --out run -x', 'unknown flag -x'],
    ['train photos --out run --lambda', 'the flag --lambda needs a value'],
    ['train photos --out', 'the flag --out needs a value'],
    [
      'generate run',
      'name a folder or a .zip, .tar or .npy file for the images with --out, a sheet with --grid FILE.png, or both',
    ],
    [
      'generate run --grid sheet.jpg',
      '--grid sheet.jpg: the sheet is a PNG file; give it a name that ends in .png',
    ],
    [
      'generate run --count 1025 --grid a.png',
      '--count 1025: a sheet holds 1024 images at most; write more to a place named with --out',
    ],
    ['generate run --out - --json', '--json and --out - would both write to stdout; leave one out'],
    ['generate run --gird a.png', 'unknown flag --gird; did you mean --grid?'],
    ['setup --forse', 'unknown flag --forse; did you mean --force?'],
    ['train photos --out run --resume=yes', booleanFault('--resume', 'yes')],
    ['train photos --out run --json=', booleanFault('--json', '')],
    ['train photos --out run --dryRun=1', booleanFault('--dryRun', '1')],
    ['train photos --out run --recompute=TRUE', booleanFault('--recompute', 'TRUE')],
    ['inspect run -h=maybe', booleanFault('-h', 'maybe')],
    ['train photos --out run --recompute maybe', 'unexpected argument maybe'],
    ['train photos --out run --no-recompute', 'unknown flag --no-recompute; did you mean --recompute?'],
  ])('san-native %s', async (line, message) => {
    expect(await cli(...line.split(' '))).toEqual({
      status: 2,
      out: '',
      err: `error ERR_SAN_USAGE: ${message}\n`,
    });
  });
});

describe('a boolean setting', () => {
  it.each([
    ['--recompute photos', true],
    ['photos --recompute', true],
    ['photos --recompute --lambda 0.3', true],
    ['photos --recompute true', true],
    ['--recompute=true photos', true],
    ['--recompute false photos', false],
    ['photos --recompute=false', false],
  ])('train %s', async (args, recompute) => {
    const { out, err } = await cli('train', '--print-config', '--json', ...args.split(' '));
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ recompute: { value: recompute, source: 'flag --recompute' } });
  });

  it('that was not given leaves the file its say', async () => {
    const file = join(await temporaryFolder(), 'a.yaml');
    await writeFile(file, 'recompute: true\n');
    const { out } = await cli('train', 'photos', '--print-config', '--config', file);
    expect(out).toMatch(/^recompute: true /m);
    expect(out).toMatch(/^checkerboardFree: false +# default$/m);
  });
});

describe('help', () => {
  it('shows a flag with its default for every config key, under headings', async () => {
    const { status, out } = await cli('train', '--help-all');
    expect(status).toBe(0);
    for (const { group, key } of fields) {
      expect(out).toContain(`${group}:`);
      expect(out).toContain(`--${key.replace(/[A-Z]+/g, (letters) => `-${letters.toLowerCase()}`)} `);
    }
    expect(out).toMatch(/--lambda .* from 0 to 1 +\[default: 0\.5\]/);
  });

  it('shows the commonest settings alone unless asked for all', async () => {
    const { status, out } = await cli('train', '--help');
    expect(status).toBe(0);
    const shown = fields.filter(({ key }) =>
      out.includes(`--${key.replace(/[A-Z]+/g, (letters) => `-${letters.toLowerCase()}`)} `),
    );
    expect(shown).toHaveLength(13);
    expect(out).not.toContain('Losses:');
    expect(out).toContain(`All ${fields.length} settings: san-native train --help-all`);
    expect(out.trimEnd().split('\n').length).toBeLessThan(60);
  });

  it('of a command comes with the word help as well', async () => {
    const { status, out } = await cli('help', 'train');
    expect(status).toBe(0);
    expect(out).toBe((await cli('train', '--help')).out);
    expect((await cli('help')).out).toBe((await cli('--help')).out);
    const text = (await cli('evaluate', '--help')).out;
    expect(text).toMatch(/--device +auto, cpu, cuda, or one such as cuda:1/);
  });

  it('comes without a command too', async () => {
    const { status, out } = await cli();
    expect(status).toBe(0);
    for (const name of ['train', 'generate', 'evaluate', 'setup'])
      expect(out).toContain(`san-native ${name}`);
  });
});
