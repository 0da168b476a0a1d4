/** lib/native.ts with an addon of the test's choice; tests import this file in the factory that they give to vi.mock. */
import type { Addon } from '../../../lib/native.js';

/** What loadAddon() gives. */
export const native: { addon: Addon | undefined } = { addon: undefined };

export const mocked = (original: object) => ({ ...original, loadAddon: () => native.addon });
