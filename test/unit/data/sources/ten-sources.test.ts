/**
 * Sources made by Python's own libraries, or found on the machine, give exactly what Python finds in them. Takes a
 * minute, so it runs only when SAN_NATIVE_SOURCES is set: to 1, or to folders of pictures of your own, with ":" between.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { pythonWith } from './support.js';

const EMOJI = resolve('node_modules/@lobehub/fluent-emoji-3d/assets');
const ORACLE = join(import.meta.dirname, 'sources_oracle.py');
const MINUTE = 60_000;

const wanted = process.env.SAN_NATIVE_SOURCES;
if (wanted === undefined) console.log('skipped: sources beside Python; SAN_NATIVE_SOURCES=1 runs it');
const python = wanted === undefined ? undefined : pythonWith('numpy', 'PIL', 'pyarrow.parquet');

interface Told {
  /** Of each source: name, label, SHA-256 of the image file or of the pixels. */
  told: Record<string, [string, string | number | null, string][]>;
  /** SHA-256 of RGBA pixels by Pillow, by file name. */
  pixels: Record<string, string>;
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

it.skipIf(python === undefined)(
  'ten sources give what Python finds in them',
  { timeout: 10 * MINUTE },
  async () => {
    const out = await temporaryFolder();
    const folders = (wanted ?? '').split(':').filter((folder) => existsSync(folder));
    execFileSync(python as string, [ORACLE, EMOJI, out, ...folders], { stdio: 'inherit' });
    const { told, pixels } = JSON.parse(await readFile(join(out, 'told.json'), 'utf8')) as Told;
    for (const [name, expected] of Object.entries(told)) {
      const source = await openSource(resolve(out, name));
      const found: Told['told'][string] = [];
      for await (const entry of source.entries()) {
        if (entry.form === 'skipped') throw new Error(`${name}: ${entry.path} was skipped: ${entry.reason}`);
        found.push([
          entry.name,
          entry.label ?? null,
          sha(entry.form === 'encoded' ? entry.bytes : entry.data),
        ]);
      }
      expect(found).toEqual(expected);
      if (source.count !== undefined) expect(source.count).toBe(expected.length);
      console.log(
        `${name}: ${source.kind}, ${found.length} images, ${source.skipped.length} files beside them`,
      );
    }
    // Decoded by sharp from an archive as by Pillow from the files.
    let compared = 0;
    for await (const entry of (await openSource(join(out, 'zip'))).entries()) {
      if (entry.form !== 'encoded' || entry.index % 10 !== 0) continue;
      const rgba = await sharp(entry.bytes).toColourspace('srgb').ensureAlpha().raw().toBuffer();
      expect(sha(rgba)).toBe(pixels[entry.name.slice('emoji/'.length)]);
      compared++;
    }
    console.log(`${compared} images decoded by sharp as by Pillow`);
  },
);
