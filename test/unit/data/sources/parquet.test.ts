import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, png, pythonWith, told, written } from './support.js';

const python = pythonWith('pyarrow.parquet');

/** By pyarrow, with `images` (a list of bytes) in scope; gives the folder that it ran in. */
async function byPyarrow(script: string, images: readonly Uint8Array[]): Promise<string> {
  const folder = await temporaryFolder();
  const hex = images.map((image) => Buffer.from(image).toString('hex'));
  const preamble =
    'import json, sys\nimport pyarrow as pa, pyarrow.parquet as pq\nimages = [bytes.fromhex(x) for x in sys.argv[1:]]\n';
  execFileSync(python as string, ['-c', preamble + script, ...hex], { cwd: folder });
  return folder;
}

const pictures = (count: number): Promise<Uint8Array[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => png(i, 8)));

describe('a Parquet file', () => {
  it('with a binary column gives its images', async () => {
    const images = await pictures(5);
    const file = parquetWriteBuffer({
      columnData: [
        { name: 'img', data: images, type: 'BYTE_ARRAY' },
        { name: 'label', data: ['a', 'b', 'c', '7', 'e'], type: 'STRING' },
        { name: 'thumbnail', data: images, type: 'BYTE_ARRAY' },
      ],
      rowGroupSize: 2,
    });
    const path = await written(new Uint8Array(file), 'table.parquet');
    expect(await openSource(path)).toMatchObject({ kind: 'Parquet', count: 5, skipped: [] });
    const entries = await entriesOf(path);
    expect(entries.map(told)).toEqual([
      'table.parquet[0] = "a"',
      'table.parquet[1] = "b"',
      'table.parquet[2] = "c"',
      'table.parquet[3] = 7',
      'table.parquet[4] = "e"',
    ]);
    expect(entries.map((entry) => entry.form === 'encoded' && entry.bytes)).toEqual(images);
    await expectResumable(path);
  });

  it.skipIf(python === undefined)(
    'of the Hugging Face hub, by pyarrow, has its names of classes',
    async () => {
      const images = await pictures(7);
      const folder = await byPyarrow(
        `
cells = [{'bytes': image, 'path': 'x.png'} for image in images]
cells[2] = None
cells[3] = {'bytes': None, 'path': 'far away.png'}
cells[4] = {'bytes': b'no image', 'path': None}
info = {'info': {'features': {'picture of it': {'_type': 'Image'}, 'what': {'_type': 'ClassLabel', 'names': ['ant', 'bee']}}}}
table = pa.table({
    'label': pa.array([9] * 7, pa.int64()),
    'what': pa.array([0, 1, 0, 1, 0, None, 5], pa.int64()),
    'picture of it': pa.array(cells, pa.struct([('bytes', pa.binary()), ('path', pa.string())])),
}).replace_schema_metadata({'huggingface': json.dumps(info)})
for i, codec in enumerate(('none', 'snappy', 'gzip', 'brotli', 'lz4', 'zstd')):
    version = ('1.0', '2.0')[i % 2]
    pq.write_table(table, codec + '.parquet', compression=codec, data_page_version=version, row_group_size=3)
`,
        images,
      );
      for (const codec of ['none', 'snappy', 'gzip', 'brotli', 'lz4', 'zstd']) {
        const file = `${codec}.parquet`;
        const entries = await entriesOf(join(folder, file));
        expect(entries.map(told)).toEqual([
          `${file}[0] = "ant"`,
          `${file}[1] = "bee"`,
          `${file}[2]: its cell is empty`,
          `${file}[3]: it refers to a file that is not in the table: far away.png`,
          expect.stringMatching(/\[4\]: it is not an image/),
          `${file}[5]`,
          `${file}[6] = 5`,
        ]);
        expect(entries[5]).toMatchObject({ bytes: images[5] });
      }
      const all = join(folder, '{none,zstd}.parquet');
      expect((await openSource(all)).count).toBe(14);
      await expectResumable(all, 5);
    },
  );

  it.skipIf(python === undefined)('without a column of images is refused, with its columns', async () => {
    const folder = await byPyarrow(
      `
pq.write_table(pa.table({'a': [1], 'text': ['x']}), 'none.parquet')
pq.write_table(pa.table({'a': images, 'b': images}), 'two.parquet')
pq.write_table(pa.table({'a': images, 'text': ['x']}), 'one.parquet')
pq.write_table(pa.table({'list': [[images[0]]], 'text': ['x']}), 'list.parquet')
pq.write_table(pa.table({'image': pa.array([], pa.binary())}), 'empty.parquet')
`,
      await pictures(1),
    );
    const message = async (name: string) => (await failureOf(join(folder, name))).message;
    expect(await message('none.parquet')).toMatch(/none of its columns \(a, text\) holds image files/);
    expect(await message('list.parquet')).toMatch(/none of its columns \(list, text\)/);
    expect(await message('two.parquet')).toMatch(
      /several of its columns \(a, b\).*name the right one "image"/,
    );
    expect((await entriesOf(join(folder, 'one.parquet'))).map(told)).toEqual(['one.parquet[0]']);
    expect(await entriesOf(join(folder, 'empty.parquet'))).toEqual([]);
  });

  it('that is damaged is refused', async () => {
    const column = { name: 'image', data: await pictures(3), type: 'BYTE_ARRAY' } as const;
    const file = Buffer.from(parquetWriteBuffer({ columnData: [column] }));
    const message = async (content: Uint8Array) => (await failureOf(await written(content))).message;
    expect(await message(file.subarray(0, -1))).toMatch(/footer/);
    expect(await message(Buffer.from('PAR1'))).toMatch(/cannot be read/);
    const long = Buffer.from(file);
    long.writeUInt32LE(2 ** 31, long.length - 8);
    expect(await message(long)).toMatch(/metadata length/);
  });

  it('is left at an abort', async () => {
    const column = { name: 'image', data: await pictures(3), type: 'BYTE_ARRAY' } as const;
    const path = await written(new Uint8Array(parquetWriteBuffer({ columnData: [column] })));
    const controller = new AbortController();
    const reason = new Error('enough');
    const opening = openSource(path, { signal: controller.signal });
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    const source = await openSource(path);
    const reading = async () => {
      for await (const _ of source.entries({ signal: controller.signal }));
    };
    await expect(reading()).rejects.toBe(reason);
  });

  it('among image files is named as what it is', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.png'), await png(1));
    await writeFile(join(folder, 'b.parquet'), 'PAR1');
    expect((await openSource(folder)).skipped).toEqual([
      { path: 'b.parquet', reason: 'it is a Parquet file, a source of its own' },
    ]);
  });
});
