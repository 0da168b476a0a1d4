/** Calls under way on something that is freed once they have ended. */
import { SanError } from '../errors.js';
import { requireSan } from '../options.js';
import type { San } from './san.js';

export class Uses {
  private count = 0;
  private ended = false;
  private onIdle = () => {};

  /** Throws ERR_SAN_DISPOSED once end() was called. */
  requireOpen(): void {
    if (this.ended)
      throw new SanError('ERR_SAN_DISPOSED', 'this San was disposed; load another one with San.load()');
  }

  /** Does `work`, which end() waits for. Throws ERR_SAN_DISPOSED. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.requireOpen();
    this.count++;
    try {
      return await work();
    } finally {
      if (--this.count === 0) this.onIdle();
    }
  }

  /** From now on there are no new ones; waits for those under way. */
  async end(): Promise<void> {
    this.ended = true;
    if (this.count === 0) return;
    await new Promise<void>((resolve) => {
      this.onIdle = resolve;
    });
  }
}

type Use = <T>(work: (inner: San) => Promise<T>) => Promise<T>;

/** How each San is held while something made of several of its calls is under way. */
const uses = new WeakMap<San, Use>();

export const registerUse = (san: San, use: Use): void => void uses.set(san, use);

/**
 * What `work` gives, for which dispose() waits: it is given a San that still works meanwhile. Throws ERR_SAN_OPTIONS for what is
 * no San, ERR_SAN_DISPOSED.
 */
export async function inUse<T>(san: San, work: (inner: San) => Promise<T>): Promise<T> {
  requireSan(san);
  // Any object with the methods will do.
  const use = uses.get(san);
  return use === undefined ? work(san) : use(work);
}
