import { execFileSync } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, png, pythonWith, tarOf, told, written } from './support.js';

const python = pythonWith('tarfile');
const LONG = `${'long name '.repeat(30)}/ü.png`;

describe('a tar archive', () => {
  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', (bytes: Buffer) => gzipSync(bytes)],
    [
      'gzipped in parts',
      (bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 700)), gzipSync(bytes.subarray(700))]),
    ],
  ])('gives its images in order: %s', async (_, packed) => {
    // Its end marks it as large; decoders pass over what comes after an image.
    const big = Buffer.concat([await png(2), Buffer.alloc(1_500_000)]);
    const archive = await tarOf([
      { name: 'z.png', content: await png(1) },
      { name: 'a/', type: 'directory' },
      { name: 'a/big.png', content: big },
      { name: 'a/._b.png', content: 'x' },
      { name: LONG, content: await png(3) },
      { name: 'read me', content: 'hello' },
      { name: './a/empty.png' },
      { name: 'z.png', content: await png(4) },
      { name: 'zeros', content: Buffer.alloc(2_000_000) },
      { name: 'last.png', content: await png(5) },
    ]);
    const path = await written(packed(archive));
    expect(await openSource(path)).toMatchObject({ kind: 'tar' });
    const entries = await entriesOf(path);
    expect(entries.map(told)).toEqual([
      'z.png',
      'a/big.png = "a"',
      `${LONG} = ${JSON.stringify(LONG.slice(0, -6))}`,
      expect.stringMatching(/^read me: it is not an image/),
      'a/empty.png: it is empty',
      'z.png',
      expect.stringMatching(/^zeros: it is not an image/),
      'last.png',
    ]);
    expect(entries[1]?.form === 'encoded' && Buffer.compare(entries[1].bytes, big)).toBe(0);
    expect(entries[5]).toMatchObject({ bytes: await png(4) });
    await expectResumable(path);
  });

  it('skips what is no plain file, and names that lead out of it', async () => {
    const content = await png(1);
    const archive = await tarOf([
      { name: 'hard.png', type: 'link', linkname: '/etc/passwd' },
      { name: 'soft.png', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'pipe.png', type: 'fifo' },
      { name: 'device.png', type: 'character-device' },
      { name: '../up.png', content },
      { name: '/root.png', content },
      { name: 'bell\x07.png', content },
    ]);
    expect((await entriesOf(await written(archive))).map(told)).toEqual([
      'hard.png: it is a hard link',
      'soft.png: it is a symbolic link',
      'pipe.png: it is a named pipe',
      'device.png: it is a device',
      '../up.png: its name leads out of the archive',
      '/root.png: its name is absolute',
      'bell\ufffd.png',
    ]);
  });

  it('that is cut short is refused, or says that its end is missing', async () => {
    const archive = await tarOf([
      { name: 'a.png', content: await png(1) },
      { name: 'b.png', content: await png(2, 300) },
    ]);
    const whole = archive.length - 1024;
    const cut = async (length: number) =>
      (await failureOf(await written(archive.subarray(0, length)))).message;
    expect(await cut(1024 + 512 + 10)).toMatch(/cut short within b\.png/);
    expect(await cut(1024 + 100)).toMatch(/cut short within a header/);
    const missing = /^end: the mark at the end of the archive is missing; it may be cut short$/;
    for (const length of [whole, whole - 3]) {
      const entries = (await entriesOf(await written(archive.subarray(0, length)))).map(told);
      expect(entries).toEqual(['a.png', 'b.png', expect.stringMatching(missing)]);
    }
    await expectResumable(await written(archive.subarray(0, whole)));
    // One block of zeros is enough of an end, and what comes after two does not matter.
    expect(await entriesOf(await written(archive.subarray(0, whole + 512)))).toHaveLength(2);
    expect(await entriesOf(await written(Buffer.concat([archive, Buffer.from('more')])))).toHaveLength(2);
    const gzipped = gzipSync(archive).subarray(0, -20);
    expect((await failureOf(await written(gzipped))).message).toMatch(/gzip data is damaged or cut short/);
  });

  it('with a damaged header is refused', async () => {
    const archive = await tarOf([
      { name: 'a.png', content: await png(1) },
      { name: 'b.png', content: await png(2) },
    ]);
    archive.fill('x', 1024 + 10, 1024 + 20);
    expect((await failureOf(await written(archive))).message).toMatch(
      /header in it is damaged: Invalid tar header/,
    );
  });

  it('of a member larger than the limit passes over it, reading nothing', async () => {
    const huge = await tarOf([{ name: 'huge.png', content: await png(1) }]);
    const header = huge.subarray(0, 512);
    const size = 20 * 2 ** 30;
    header.write(`${size.toString(8).padStart(11, '0')} `, 124, 'latin1');
    header.fill(' ', 148, 156);
    header.write(
      `${header
        .reduce((a, b) => a + b)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    const path = await written(header);
    // A file with a hole: it takes no room on the disk.
    await truncate(path, 512 + size + 1024);
    expect((await entriesOf(path)).map(told)).toEqual(['huge.png: it is larger than 1 GiB']);
    await truncate(path, 512 + size - 1);
    expect((await failureOf(path)).message).toMatch(/cut short within huge\.png/);
  });

  it.skipIf(python === undefined)('is what Python wrote: all formats, long names, sparse files', async () => {
    const folder = await temporaryFolder();
    const image = await png(9, 64);
    const script = `
import io, sys, tarfile
image = bytes.fromhex(sys.argv[1])
for name, form in (('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT), ('ustar', tarfile.USTAR_FORMAT)):
    with tarfile.open(name, 'w', format=form) as archive:
        for path in ('a.png', 'd' * 90 + '/' + 'e' * 90 + '.png') + (('x' * 300 + 'ö.png',) if name != 'ustar' else ()):
            info = tarfile.TarInfo(path)
            info.size = len(image)
            archive.addfile(info, io.BytesIO(image))
        sparse = tarfile.TarInfo('sparse.png')
        if name == 'pax': sparse.pax_headers = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0'}
        sparse.size = len(image)
        if name == 'gnu': sparse.type = tarfile.GNUTYPE_SPARSE
        if name != 'ustar': archive.addfile(sparse, io.BytesIO(image))
        last = tarfile.TarInfo('last.png')
        last.size = len(image)
        archive.addfile(last, io.BytesIO(image))
`;
    execFileSync(python as string, ['-c', script, Buffer.from(image).toString('hex')], { cwd: folder });
    const names = ['a.png', `${'d'.repeat(90)}/${'e'.repeat(90)}.png = "${'d'.repeat(90)}"`];
    const long = `${'x'.repeat(300)}ö.png`;
    const gnu = await entriesOf(join(folder, 'gnu'));
    expect(gnu.map(told)).toEqual([
      ...names,
      long,
      'sparse.png: it is of a kind that is not read',
      'last.png',
    ]);
    expect(gnu[4]).toMatchObject({ bytes: image });
    expect((await entriesOf(join(folder, 'pax'))).map(told)).toEqual([
      ...names,
      long,
      'sparse.png: it is a sparse file',
      'last.png',
    ]);
    expect((await entriesOf(join(folder, 'ustar'))).map(told)).toEqual([...names, 'last.png']);
  });
});

describe('a WebDataset shard', () => {
  it('gives its images with the labels beside them', async () => {
    const image = await png(1);
    const archive = await tarOf([
      { name: '0001.cls', content: '3' },
      { name: '0001.jpg', content: image },
      { name: '0002.jpg', content: image },
      { name: '0002.json', content: '{"label": "cat", "width": 4}' },
      { name: 'd/0003.txt', content: 'a dog\n' },
      { name: 'd/0003.seg.png', content: image },
      { name: 'd/0003.jpg', content: image },
      { name: 'd/0004.txt', content: 'a very long caption, '.repeat(10) },
      { name: 'd/0004.jpg', content: image },
      { name: '0005.cls', content: '5' },
      { name: '0006.png', content: image },
      { name: '0007.json', content: '{not json' },
      { name: '0007.png', content: image },
    ]);
    for (const content of [archive, gzipSync(archive)]) {
      const path = await written(content);
      expect((await openSource(path)).kind).toBe('WebDataset');
      expect((await entriesOf(path)).map(told)).toEqual([
        '0001.jpg = 3',
        '0002.jpg = "cat"',
        'd/0003.seg.png = "a dog"',
        'd/0003.jpg = "a dog"',
        'd/0004.jpg = "d"',
        expect.stringMatching(/^0005\.cls: it is not an image/),
        '0006.png',
        '0007.png',
      ]);
      await expectResumable(path);
    }
  });

  it('is read in bounded memory when all names begin alike', async () => {
    const image = await png(1);
    const files = Array.from({ length: 100 }, (_, i) => ({ name: `video.${i}.png`, content: image }));
    const path = await written(await tarOf(files));
    expect((await entriesOf(path)).map(told)).toEqual(files.map(({ name }) => name));
    await expectResumable(path, 13);
  });
});
