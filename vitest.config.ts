import { defineConfig } from 'vitest/config';

const MINUTE = 60_000;

export default defineConfig({
  test: {
    reporters: ['default', './scripts/count-reporter.mjs'],
    projects: [
      {
        test: {
          name: 'unit',
          globalSetup: './test/cache-folder.ts',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: MINUTE / 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Processes rather than threads: a fault in native code takes one file down and is told as such. One file
        // at a time, after the unit tests, since they use every core and some of them measure time.
        test: {
          name: 'native',
          globalSetup: './test/cache-folder.ts',
          include: ['test/native/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 5 * MINUTE,
          hookTimeout: 5 * MINUTE,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
