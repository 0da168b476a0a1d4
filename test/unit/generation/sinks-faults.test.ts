import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSink } from '../../../lib/generation/sinks/open.js';
import { temporaryFolder } from '../support/temporary.js';
import { digests, draw, set, wanted } from './sinks-support.js';

let folder = '';
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('faults', () => {
  it('a name of another format is refused', async () => {
    for (const name of ['a.png', 'a.tar.gz', 'a.NPZ']) {
      await expect(openSink(join(folder, name), set, {})).rejects.toThrowError(
        /name a folder for PNG files, or a \.tar/,
      );
    }
  });

  it('a reader that has gone', async () => {
    const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(gone) });
    const outcome = draw(stream).done;
    await expect(outcome).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: 'cannot write to the stream: the reader has gone',
    });
  });

  it('a reader that hangs up without an error', async () => {
    const stream = new Writable({ write: () => setImmediate(() => stream.destroy()) });
    await expect(draw(stream).done).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: 'cannot write to the stream: it was closed before all was written',
    });
    expect(stream.listenerCount('close')).toBe(0);
  });

  it('a reader that no longer reads: an abort ends the wait', async () => {
    const stop = new AbortController();
    const stream = new Writable({ write: () => setImmediate(() => stop.abort(new Error('enough'))) });
    await expect(draw(stream, { control: { signal: stop.signal } }).done).rejects.toThrow('enough');
  });

  it('a reader that no longer reads: an abort before the images are written is heard', async () => {
    const stop = new AbortController();
    const onImages = () => stop.abort(new Error('enough'));
    const outcome = draw(new Writable({ write: () => {} }), { control: { signal: stop.signal, onImages } });
    await expect(outcome.done).rejects.toThrow('enough');
  });

  it.each(['drawn', 'drawn.npy'])('another process that took over: %s is left to it', async (name) => {
    const path = join(folder, name);
    const lock = join(name === 'drawn' ? path : `${path}.partial`, 'generate.lock');
    const other = '{"pid":17,"host":"elsewhere"}';
    let drawn = 0;
    const onDraw = async () => {
      if (drawn++ === 2) await writeFile(lock, other);
    };
    await expect(draw(path, { onDraw }).done).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: expect.stringContaining('process 17 on elsewhere has taken over'),
    });
    expect(await readFile(lock, 'utf8')).toBe(other);
  });

  it('a full disk: says so, keeps what is there, and goes on once there is room', async () => {
    const path = join(folder, 'drawn.npy');
    const prototype = await handles();
    const original = prototype.write;
    const full = vi.spyOn(prototype, 'write').mockImplementation(async function (
      this: never,
      ...args: unknown[]
    ) {
      if (Number(args[3]) > 1000) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      return (original as (...all: unknown[]) => never).apply(this, args);
    } as never);
    await expect(draw(path).done).rejects.toMatchObject({
      code: 'ERR_SAN_OUTPUT',
      message: `cannot write ${path}: no space is left on the device; what is there stays: the same call draws the rest`,
    });
    full.mockRestore();
    expect(await draw(path).done).toMatchObject({ kept: 16, drawn: 34 });
    expect((await readFile(path)).subarray(128).equals(wanted)).toBe(true);
  });

  it.each(['tar', 'zip', 'npy'])(
    '.%s: a disk that fails at the end, once all images are there',
    async (format) => {
      const [whole, path] = [join(folder, `whole.${format}`), join(folder, `drawn.${format}`)];
      await draw(whole).done;
      const prototype = await handles();
      const { sync } = prototype;
      const failing = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: typeof prototype) {
        const found = await this.stat();
        // Manifests and folders, which are synced too, are not meant.
        if (found.isFile() && found.size > 2000) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        return sync.call(this);
      });
      for (let i = 0; i < 2; i++)
        await expect(draw(path).done).rejects.toThrow('the device reports an input/output error');
      failing.mockRestore();
      expect(await draw(path).done).toMatchObject({ drawn: 0, kept: 50 });
      expect(await digests(path)).toEqual(await digests(whole));
    },
  );
});

/** What all open files share. */
async function handles(): Promise<FileHandle> {
  const probe = await open(join(folder, 'probe'), 'w');
  await probe.close();
  return Object.getPrototypeOf(probe);
}
