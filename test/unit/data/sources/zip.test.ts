import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../lib/data/sources/open.js';
import { temporaryFolder } from '../../support/temporary.js';
import { entriesOf, expectResumable, failureOf, png, pythonWith, told, written, zipOf } from './support.js';

const python = pythonWith('zipfile');

/** Replaces each occurrence of `from`, in local headers and directory alike. */
function replaced(archive: Buffer, from: string, to: string): Buffer {
  return Buffer.from(archive.toString('latin1').replaceAll(from, to), 'latin1');
}

/** Offset of the directory's header of the only, or first, entry. */
const directoryAt = (archive: Buffer): number => archive.indexOf('PK\x01\x02', 0, 'latin1');

async function patched(
  change: (archive: Buffer, header: number) => void,
  content?: Uint8Array,
): Promise<string> {
  const archive = await zipOf([{ name: 'a.png', content: content ?? (await png(1)) }]);
  change(archive, directoryAt(archive));
  return written(archive);
}

describe('a zip archive', () => {
  it('gives its images in the order of its directory, labelled by their folder', async () => {
    const archive = await zipOf([
      { name: 'z.png', content: await png(1), compress: false },
      { name: 'all/cat/ä b.png', content: await png(2, 300) },
      { name: 'all/readme.txt', content: 'hello' },
      { name: '__MACOSX/all/cat/._a.png', content: 'x' },
      { name: 'all/.DS_Store', content: 'x' },
      { name: 'z.png', content: await png(3) },
      { name: 'nothing.png', content: '' },
    ]);
    const path = await written(archive);
    const entries = await entriesOf(path);
    expect(await openSource(path)).toMatchObject({ kind: 'zip', count: entries.length });
    expect(entries.map(told)).toEqual([
      'z.png',
      'all/cat/ä b.png = "cat"',
      expect.stringMatching(/^all\/readme\.txt: it is not an image/),
      'z.png',
      'nothing.png: it is empty',
    ]);
    expect(entries[1]).toMatchObject({ bytes: await png(2, 300) });
    expect(entries[3]).toMatchObject({ bytes: await png(3) });
    await expectResumable(path);
  });

  it('skips what is no plain file, and names that lead out of it', async () => {
    const content = await png(1);
    const archive = await zipOf([
      { name: 'link.png', content: '/etc/passwd', mode: 0o120777 },
      { name: 'pipe.png', content, mode: 0o010644 },
      { name: 'UP/up/x.png', content },
      { name: 'Xroot.png', content },
      { name: 'D!/win.png', content },
      { name: 'bell~.png', content },
    ]);
    const hostile = [
      'UP/up/x.png>../../x.png',
      'Xroot.png>/root.png',
      'D!/win.png>D:/win.png',
      'bell~.png>bell\x07.png',
    ];
    let bytes = archive;
    for (const [from, to] of hostile.map((pair) => pair.split('>')))
      bytes = replaced(bytes, from as string, to as string);
    expect((await entriesOf(await written(bytes))).map(told)).toEqual([
      'link.png: it is a symbolic link',
      'pipe.png: it is a named pipe',
      '../../x.png: its name leads out of the archive',
      '/root.png: its name is absolute',
      'D:/win.png: its name is absolute',
      'bell\ufffd.png',
    ]);
  });

  it('skips entries that are not what the directory says', async () => {
    const sizes = async (size: number, content?: Uint8Array) =>
      (await entriesOf(await patched((archive, at) => archive.writeUInt32LE(size, at + 24), content))).map(
        told,
      );
    expect(await sizes(10)).toEqual(['a.png: it is damaged: it inflates to more than it announces']);
    const { length } = await png(1);
    expect(await sizes(1000)).toEqual([`a.png: it is damaged: it has ${length} bytes, not 1000`]);
    expect(await sizes(2 ** 31)).toEqual(['a.png: it is larger than 1 GiB']);
    const zeros = Buffer.alloc(5_000_000);
    expect(await sizes(5_000_000, zeros)).toEqual([expect.stringMatching(/not an image/)]);

    const one = async (change: (archive: Buffer, at: number) => void) =>
      (await entriesOf(await patched(change))).map(told);
    expect(await one((archive, at) => archive.writeUInt32LE(1, at + 16))).toEqual([
      'a.png: it is damaged: its checksum does not agree',
    ]);
    expect(await one((archive, at) => archive.writeUInt16LE(1, at + 8))).toEqual(['a.png: it is encrypted']);
    expect(await one((archive, at) => archive.writeUInt16LE(93, at + 10))).toEqual([
      'a.png: its compression method, 93, is not supported',
    ]);
    expect(await one((archive) => archive.fill(0xff, 40, 60))).toEqual([
      'a.png: it is damaged: its data cannot be inflated',
    ]);
    const two = await zipOf([
      { name: 'a.png', content: await png(1) },
      { name: 'b.png', content: await png(1) },
    ]);
    two.writeUInt32LE(0, two.indexOf('PK\x03\x04', 1, 'latin1'));
    expect((await entriesOf(await written(two))).map(told)).toEqual([
      'a.png',
      expect.stringMatching(/^b\.png: it is damaged: invalid local file header signature/),
    ]);
  });

  it('whose entries overlap is refused', async () => {
    const archive = await zipOf([
      { name: 'a.png', content: await png(1) },
      { name: 'b.png', content: await png(1) },
    ]);
    const second = archive.indexOf('PK\x01\x02', directoryAt(archive) + 1, 'latin1');
    archive.writeUInt32LE(archive.readUInt32LE(directoryAt(archive) + 42), second + 42);
    expect((await failureOf(await written(archive))).message).toMatch(
      /entries overlap, as those of a zip bomb/,
    );
  });

  it('that is damaged as a whole is refused', async () => {
    const archive = await zipOf([
      { name: 'a.png', content: await png(1) },
      { name: 'b.png', content: await png(1) },
    ]);
    expect((await failureOf(await written(archive.subarray(0, -5)))).message).toMatch(/cut short/);
    const few = Buffer.from(archive);
    few.writeUInt16LE(1, few.length - 12);
    expect((await failureOf(await written(few))).message).toMatch(/more entries than the 1 that it counts/);
    const strong = Buffer.from(archive);
    strong.writeUInt16LE(0x41, directoryAt(strong) + 8);
    expect((await failureOf(await written(strong))).message).toMatch(/strong encryption is not supported/);
    const lost = Buffer.from(archive);
    lost.writeUInt32LE(7, lost.length - 6);
    expect((await failureOf(await written(lost))).message).toMatch(/cannot be read/);
  });

  it('of more than 65,535 entries is read', { timeout: 60_000 }, async () => {
    // By hand: yazl takes long. All entries are the same stored PNG under a name of its own.
    const count = 100_000;
    const image = await png(1);
    const one = await zipOf([{ name: 'a/000000.png', content: image, compress: false }]);
    const at = directoryAt(one);
    const name = (bytes: Buffer, offset: number, i: number) =>
      bytes.write(String(i).padStart(6, '0'), offset + 2, 'latin1');
    const local = one.subarray(0, one.indexOf(image) + image.length);
    const header = one.subarray(at, one.indexOf('PK\x05\x06', 0, 'latin1'));
    const archive = Buffer.alloc((local.length + header.length) * count + 56 + 20 + 22);
    for (let i = 0; i < count; i++) {
      const [start, entry] = [local.length * i, local.length * count + header.length * i];
      archive.set(local, start);
      name(archive, start + 30, i);
      archive.set(header, entry);
      name(archive, entry + 46, i);
      archive.writeUInt32LE(start, entry + 42);
    }
    // As there are more than 65,535, their number is in a zip64 record.
    const end = (local.length + header.length) * count;
    archive.write('PK\x06\x06', end, 'latin1');
    archive.writeBigUInt64LE(BigInt(count), end + 24);
    archive.writeBigUInt64LE(BigInt(count), end + 32);
    archive.writeBigUInt64LE(BigInt(header.length * count), end + 40);
    archive.writeBigUInt64LE(BigInt(local.length * count), end + 48);
    archive.write('PK\x06\x07', end + 56, 'latin1');
    archive.writeBigUInt64LE(BigInt(end), end + 64);
    archive.write('PK\x05\x06', end + 76, 'latin1');
    archive.writeUInt32LE(0xffffffff, end + 92);
    const path = await written(archive);
    const source = await openSource(path);
    expect(source.count).toBe(count);
    const last: string[] = [];
    for await (const entry of source.entries({ from: count - 2 })) last.push(told(entry));
    expect(last).toEqual(['a/099998.png = "a"', 'a/099999.png = "a"']);
  });

  it.skipIf(python === undefined)(
    'is what Python wrote: zip64, other methods, data descriptors',
    async () => {
      const folder = await temporaryFolder();
      const path = join(folder, 'made by python');
      const image = await png(9, 64);
      const script = `
import io, sys, zipfile
image = bytes.fromhex(sys.argv[1])
with zipfile.ZipFile('made by python', 'w') as archive:
    with archive.open('zip64.png', 'w', force_zip64=True) as file: file.write(image)
    archive.writestr('bzip2.png', image, zipfile.ZIP_BZIP2)
    archive.writestr('deflated.png', image, zipfile.ZIP_DEFLATED, 9)
    archive.mkdir('folder')
class Pipe(io.RawIOBase):
    def __init__(self, file): self.file = file
    def writable(self): return True
    def write(self, data): return self.file.write(data)
with open('streamed', 'wb') as file, zipfile.ZipFile(Pipe(file), 'w') as archive:
    archive.writestr('a.png', image, zipfile.ZIP_DEFLATED)
`;
      execFileSync(python as string, ['-c', script, Buffer.from(image).toString('hex')], { cwd: folder });
      const entries = await entriesOf(path);
      expect(entries.map(told)).toEqual([
        'zip64.png',
        'bzip2.png: its compression method, 12, is not supported',
        'deflated.png',
      ]);
      expect(entries[0]).toMatchObject({ bytes: image });
      expect(entries[2]).toMatchObject({ bytes: image });
      expect(await entriesOf(join(folder, 'streamed'))).toMatchObject([{ name: 'a.png', bytes: image }]);
    },
  );

  it('is not inflated beyond what an entry announces', async () => {
    const bomb = deflateRawSync(Buffer.concat([await png(1), Buffer.alloc(200_000_000)]));
    const archive = await zipOf([{ name: 'a.png', content: bomb, compress: false }]);
    const at = directoryAt(archive);
    archive.writeUInt16LE(8, at + 10);
    archive.writeUInt32LE(2_000_000, at + 24);
    const before = process.memoryUsage().rss;
    expect((await entriesOf(await written(archive))).map(told)).toEqual([
      'a.png: it is damaged: it inflates to more than it announces',
    ]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  });
});
