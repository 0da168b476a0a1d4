/** Pictures for the page: small enough that it stays one file that opens at once. */
import { readdir, readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { type RunFolder, stepOfSample } from '../run-folder.js';

/** A picture within the page. */
export interface PagePicture {
  /** A data: URI. */
  uri: string;
  width: number;
  height: number;
}

export interface StepPicture extends PagePicture {
  step: number;
}

/** The largest in width, in pixels, and in bytes. A PNG below the latter goes in as it is. */
const PICTURE = { width: 1024, bytes: 240_000 };
/** The same for the grids over time, and how many there are. With the pictures they stay below 3 MB in base64. */
const THUMBNAIL = { width: 400, bytes: 70_000 };
const MOST_THUMBNAILS = 12;
/** JPEG qualities, in the order in which they are tried. WebP is smaller, and ten times as slow to make. */
const QUALITIES = [85, 70, 50, 30, 10];

/** A PNG for the page; scaled down and with slight losses if it is large. */
export async function forPage(png: Buffer): Promise<PagePicture> {
  if (png.length > PICTURE.bytes) return shrunk(png, PICTURE);
  const { width, height } = await sharp(png).metadata();
  return { uri: dataUri('png', png), width, height };
}

/** The sample grids of a run over time, a few of them. */
export class Thumbnails {
  private readonly folder: RunFolder;
  private made = new Map<number, StepPicture>();

  constructor(folder: RunFolder) {
    this.folder = folder;
  }

  /** Up to twelve of the grids up to `lastStep`, evenly spread over those there are, oldest first. */
  async upTo(lastStep: number): Promise<StepPicture[]> {
    const names = await readdir(this.folder.samples).catch(() => []);
    const steps = names
      .map(stepOfSample)
      .filter((step) => step !== undefined && step <= lastStep)
      .sort((a, b) => (a as number) - (b as number)) as number[];
    const made = new Map<number, StepPicture>();
    for (const step of evenlySpread(steps, MOST_THUMBNAILS)) {
      const picture = this.made.get(step) ?? (await this.make(step));
      if (picture !== undefined) made.set(step, picture);
    }
    this.made = made;
    return [...made.values()];
  }

  /** Forgets the picture of a step that is drawn anew. */
  forget(step: number): void {
    this.made.delete(step);
  }

  /** Undefined when there is no such picture any more. */
  private async make(step: number): Promise<StepPicture | undefined> {
    try {
      const png = await readFile(this.folder.sample(step));
      return { step, ...(await shrunk(png, THUMBNAIL)) };
    } catch {
      return undefined;
    }
  }
}

/** Up to `count` of the items, the first and the last among them. */
export function evenlySpread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from(
    { length: count },
    (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T,
  );
}

/** At the best quality that keeps within the bytes, if one does. */
async function shrunk(png: Buffer, { width, bytes }: typeof PICTURE): Promise<PagePicture> {
  const scaled = sharp(png, { limitInputPixels: false }).resize({ width, withoutEnlargement: true });
  const { data: pixels, info } = await scaled.raw().toBuffer({ resolveWithObject: true });
  let data = Buffer.alloc(0);
  for (const quality of QUALITIES) {
    data = await sharp(pixels, { raw: info }).jpeg({ quality }).toBuffer();
    if (data.length <= bytes) break;
  }
  return { uri: dataUri('jpeg', data), width: info.width, height: info.height };
}

const dataUri = (type: string, bytes: Buffer): string =>
  `data:image/${type};base64,${bytes.toString('base64')}`;
