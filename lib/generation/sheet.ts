import type { ImageBatch } from '../native.js';

/** The first images of a set, gathered as they come by. */
export class Sheet {
  /** Images that it shall hold. */
  readonly count: number;
  private images: ImageBatch | undefined;
  private added = 0;

  constructor(count: number) {
    this.count = count;
  }

  /** Takes those of the batch that belong on the sheet; its first one is number `position` of the set. */
  add({ data, shape }: ImageBatch, position: number): void {
    const [taken, ...item] = [
      Math.min(shape[0], this.count - position),
      ...shape.slice(1),
    ] as ImageBatch['shape'];
    if (taken <= 0) return;
    const size = item.reduce((a, b) => a * b, 1);
    this.images ??= { data: new Uint8Array(this.count * size), shape: [this.count, ...item] };
    this.images.data.set(data.subarray(0, taken * size), position * size);
    this.added += taken;
  }

  /** All of them, once they have all come by. */
  whole(): ImageBatch | undefined {
    return this.added === this.count ? this.images : undefined;
  }
}
