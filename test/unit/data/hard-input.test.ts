/** Files that others have collected to break decoders with: of Debian packages, where these can be fetched. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImageFormat } from '../../../lib/config/schema.js';
import { decodeImage, UnusableImage } from '../../../lib/data/decode.js';
import { imageKind } from '../../../lib/data/kind.js';

const FORMAT: ImageFormat = {
  imageSize: 32,
  imageChannels: 3,
  background: '#ffffff',
  crop: 'stretch',
  maxPixels: 1e8,
};

/** The package's files, unpacked outside of the repository; undefined, and told, when they cannot be had. */
function fetched(name: string): string | undefined {
  const parent = process.env.SAN_NATIVE_TEST_PACKAGES ?? join(tmpdir(), 'san-native-test-packages');
  const folder = join(parent, name);
  if (existsSync(folder)) return folder;
  const temporary = join(parent, `.${name}-${process.pid}`);
  mkdirSync(temporary, { recursive: true });
  const run = (command: string, ...args: string[]) =>
    spawnSync(command, args, { cwd: temporary, timeout: 20_000, stdio: 'ignore' }).status === 0;
  const [file] = run('apt-get', 'download', name) ? readdirSync(temporary) : [];
  if (file === undefined || !run('dpkg', '-x', file, 'files')) {
    rmSync(temporary, { recursive: true, force: true });
    console.info(`Skipping the files of ${name}: the package cannot be fetched here`);
    return undefined;
  }
  if (!existsSync(folder)) renameSync(join(temporary, 'files'), folder);
  rmSync(temporary, { recursive: true, force: true });
  return folder;
}

/** What becomes of each image file of a package, under its own name: pixels, or the reason why not. */
async function outcomes(folder: string): Promise<Map<string, Uint8Array | string>> {
  const found = new Map<string, Uint8Array | string>();
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  await Promise.all(
    files.map(async (entry) => {
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      const kind = imageKind(bytes);
      if (kind === undefined) return;
      const outcome = await decodeImage(bytes, kind, FORMAT).catch((error: unknown) => {
        if (error instanceof UnusableImage) return error.message;
        throw error;
      });
      found.set(basename(entry.name), outcome);
    }),
  );
  return found;
}

const reasons = (found: Map<string, Uint8Array | string>) =>
  Object.fromEntries([...found].filter(([, outcome]) => typeof outcome === 'string').sort());
const damaged = (kind: string) => `it is damaged, cut short or an unsupported sort of ${kind}`;
const tooLarge = (size: string) => `it has ${size} pixels; at most 100 million are read (maxPixels)`;

describe('files that others break decoders with', () => {
  it('of Go become pixels, but for those that are damaged', async ({ skip }) => {
    const folder = fetched('golang-1.19-src');
    if (folder === undefined) return skip();
    const found = await outcomes(join(folder, 'usr/share/go-1.19/src/image'));
    expect(found.size).toBeGreaterThan(60);
    expect(reasons(found)).toEqual({
      'invalid-crc32.png': damaged('PNG'),
      'invalid-zlib.png': damaged('PNG'),
    });
    // Interlaced or not, the same picture; so with the other ways to store it.
    const same = (a: string, b: string, tolerance: number) => {
      const [one, other] = [found.get(a), found.get(b)] as [Uint8Array, Uint8Array];
      const worst = one.reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] as number))), 0);
      expect(worst, `${a} and ${b}`).toBeLessThanOrEqual(tolerance);
    };
    same('video-001.interlaced.gif', 'video-001.gif', 0);
    same('video-001.progressive.jpeg', 'video-001.jpeg', 2);
    same('video-001.221212.jpeg', 'video-001.q50.420.jpeg', 40);
    same('video-001.progressive.truncated.jpeg', 'video-001.progressive.truncated.png', 3);
    // Its last byte is missing, which no pixel needs.
    expect(found.get('invalid-trunc.png')).toBeInstanceOf(Uint8Array);
  });

  it('turned in eight ways are the same picture', async ({ skip }) => {
    const name = 'golang-github-disintegration-imaging-dev';
    const folder = fetched(name);
    if (folder === undefined) return skip();
    const found = await outcomes(folder);
    expect(reasons(found)).toEqual({});
    const upright = found.get('orientation_1.jpg') as Uint8Array;
    for (let i = 0; i <= 8; i++) {
      const other = found.get(`orientation_${i}.jpg`) as Uint8Array;
      const mean =
        other.reduce((sum, value, at) => sum + Math.abs(value - (upright[at] as number)), 0) / other.length;
      expect(mean, `orientation ${i}`).toBeLessThan(2);
    }
  });

  it('of GdkPixbuf are named when they are bombs, damaged or cut short', async ({ skip }) => {
    const folder = fetched('gdk-pixbuf-tests');
    if (folder === undefined) return skip();
    const found = await outcomes(folder);
    expect(found.size).toBeGreaterThan(180);
    const all = reasons(found);
    expect(all).toMatchObject({
      'large.png': tooLarge('25200×33300'),
      'large.jpg': tooLarge('22500×33300'),
      'issue205.jpg': tooLarge('64250×64250'),
      'bug793470-crasher.png': tooLarge('935820×854554'),
      'premature-end.jpg': 'it is cut short',
      'invalid.2.png': damaged('PNG'),
      'invalid-code.gif': damaged('GIF'),
      'no-eoi.gif': 'it is cut short',
      'invalid-colors.gif': 'it has colours that are not in its palette',
      'zero-size.gif': 'it has no picture in it',
      'missing-pixels.gif': 'its first picture does not fill it',
    });
    for (const whole of [
      'valid.1.gif',
      'valid.1.jpeg',
      'valid.1.png',
      'valid.1.tiff',
      'four-colors.gif',
      'depth8.gif',
    ]) {
      expect(found.get(whole), whole).toBeInstanceOf(Uint8Array);
    }
    expect(Object.keys(all).length).toBeLessThan(70);
  });
});
