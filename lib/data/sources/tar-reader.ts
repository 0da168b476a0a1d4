/** The members of a tar archive one after the other, each with the choice of reading it or passing over it. */
import { extract, type Header } from 'tar-stream';
import { type ByteReader, openReader } from './byte-reader.js';
import { Fault } from './fault.js';

export interface Member {
  name: string;
  /** Bytes. */
  size: number;
  /** What makes it no plain file: "it is a symbolic link". */
  fault?: string | undefined;
  isFolder: boolean;
  /** The content; to be called before the next member is asked for, once at most. */
  read(): Promise<Uint8Array>;
  /** The first bytes of the content, at most `count`; instead of read(). */
  readStart(count: number): Promise<Uint8Array>;
}

const BLOCK_BYTES = 512;
/** Headers of one member before its own: global and own attributes, long name, long link. */
const MAX_HEADER_BYTES = 2 ** 23;
const OLD_GNU_SPARSE = 'S'.charCodeAt(0);

/** Every block is looked at as soon as it is written. The first option is missing in the types of tar-stream. */
const HEADERS_ALONE = { allowUnknownFormat: true, highWaterMark: 1 };

const FAULTS: Partial<Record<NonNullable<Header['type']>, string>> = {
  link: 'it is a hard link',
  symlink: 'it is a symbolic link',
  'character-device': 'it is a device',
  'block-device': 'it is a device',
  fifo: 'it is a named pipe',
};

/** Whether the members went on to the mark at the archive's end; without one it may be cut short. */
export interface End {
  marked: boolean;
}

export async function* tarMembers(
  path: string,
  gzipped: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Member, End> {
  const reader = await openReader(path, gzipped);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const header = await readHeader(reader);
      if (header === 'marked' || header === 'unmarked') return { marked: header === 'marked' };
      const { name, size = 0, type } = header;
      let left = type === 'directory' ? 0 : size;
      const take = async (count: number): Promise<Uint8Array> => {
        const bytes = await reader.take(count);
        if (bytes === undefined) throw new Fault(`it is cut short within ${name}`);
        left -= count;
        return bytes;
      };
      yield {
        name,
        size,
        isFolder: type === 'directory',
        fault: faultOf(header),
        read: () => take(left),
        readStart: (count) => take(Math.min(count, left)),
      };
      if (!(await reader.skip(left))) throw new Fault(`it is cut short within ${name}`);
      if (type !== 'directory' && !(await reader.skip(-size & (BLOCK_BYTES - 1)))) {
        // All of the last member is there, only the filling of its last block is not.
        return { marked: false };
      }
    }
  } finally {
    await reader.close();
  }
}

function faultOf({ type, pax }: Header): string | undefined {
  // Null for kinds that tar-stream does not know, whatever its types say.
  if ((type as unknown) === null) return 'it is of a kind that is not read';
  if (Object.keys(pax ?? {}).some((key) => key.startsWith('GNU.sparse'))) return 'it is a sparse file';
  return FAULTS[type];
}

/**
 * The next member's header, with what the blocks before it say of it; else how the archive ends. tar-stream reads the
 * headers alone, so that a member passed over in a plain file costs no reading.
 */
async function readHeader(reader: ByteReader): Promise<Header | 'marked' | 'unmarked'> {
  const parser = new HeaderParser();
  let zeroBlocks = 0;
  for (let bytes = 0; bytes < MAX_HEADER_BYTES; bytes += BLOCK_BYTES) {
    const block = await reader.take(BLOCK_BYTES);
    if (block === undefined) {
      if (!(await reader.ended())) throw new Fault('it is cut short within a header');
      if (bytes > 0 && zeroBlocks === 0) throw new Fault('it is cut short within a header');
      return zeroBlocks > 0 ? 'marked' : 'unmarked';
    }
    if (parser.idle && block.every((byte) => byte === 0)) {
      if (++zeroBlocks === 2) return 'marked';
      continue;
    }
    const header = await parser.push(block);
    if (header === undefined) continue;
    if (block[156] === OLD_GNU_SPARSE) await skipSparseMap(reader, block);
    return header;
  }
  throw new Fault('a header in it does not end');
}

/** tar-stream's parser, given one block at a time. */
class HeaderParser {
  private readonly extract = extract(HEADERS_ALONE);
  private header: Header | undefined;
  private settle: (() => void) | undefined;
  private error: Error | undefined;
  /** Whether a header can begin here. */
  idle = true;

  constructor() {
    this.extract.on('entry', (header) => {
      this.header = header;
      this.settle?.();
    });
    this.extract.on('drain', () => this.settle?.());
    this.extract.on('error', (error: Error) => {
      this.error = error;
      this.settle?.();
    });
  }

  async push(block: Uint8Array): Promise<Header | undefined> {
    this.idle = false;
    await new Promise<void>((resolve) => {
      this.settle = resolve;
      this.extract.write(block);
    });
    if (this.error !== undefined) {
      throw new Fault(`a header in it is damaged: ${this.error.message.replace(/ Maybe .*/, '')}`);
    }
    return this.header;
  }
}

/** Old GNU sparse files have further blocks of their map between header and data, which their size does not count. */
async function skipSparseMap(reader: ByteReader, header: Uint8Array): Promise<void> {
  let more = header[482];
  while (more) {
    const block = await reader.take(BLOCK_BYTES);
    if (block === undefined) throw new Fault('it is cut short within a header');
    more = block[504];
  }
}
