import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../lib/errors.js';
import { configOf, parseGrid, pointsOf, readGrid, runsOf } from '../../../quality/grid.js';

const GRIDS = 'quality/grids';
const small = (contenders: string, more = '') =>
  `set: fashion-32\nimages: 6400\npoints: 2\n${more}contenders:\n${contenders}`;

describe('a grid file', () => {
  it('is readable, each of those that come along', async () => {
    const files = await readdir(GRIDS);
    expect(files).toContain('small.yaml');
    for (const file of files) expect(runsOf(await readGrid(join(GRIDS, file))).length).toBeGreaterThan(0);
  });

  it('gives the first seed of each contender first', () => {
    const grid = parseGrid(small('  a: { seeds: [5, 6] }\n  b: { peer: dcgan, seeds: [5] }\n'), 'g.yaml');
    expect(runsOf(grid).map(({ contender, seed }) => `${contender}${seed}`)).toEqual(['a5', 'b5', 'a6']);
  });

  it('gives SAN and peers measuring points after as many images', () => {
    const grid = parseGrid(small('  a: { settings: { batchSize: 32 } }\n'), 'g.yaml');
    const [run] = runsOf(grid);
    if (run === undefined) throw new Error('no run');
    const { steps, checkpointEvery, batchSize } = configOf(grid, run);
    expect([checkpointEvery * batchSize, steps * batchSize]).toEqual(pointsOf(grid, run));
  });

  it('gives a peer another batch, and its moving average, where it says so', () => {
    const grid = parseGrid(
      small('  a: { peer: dcgan, batch: 16, average: true }\n  b: { peer: dcgan }\n'),
      'g.yaml',
    );
    expect(runsOf(grid).map(({ batch, average }) => [batch, average])).toEqual([
      [16, true],
      [undefined, undefined],
    ]);
  });

  it('takes a preset under the settings of its SANs', () => {
    const grid = parseGrid(
      small(
        '  a: { settings: { penaltyEvery: 2 } }\n  b: { settings: { preset: paper } }\n',
        "settings: { preset: '32' }\n",
      ),
      'g.yaml',
    );
    const [a, b] = runsOf(grid).map((run) => configOf(grid, run));
    expect([a?.emaHalfLife, a?.penaltyEvery]).toEqual([10000, 2]);
    expect([b?.penaltyWeight, b?.pairing]).toEqual([10, 'random']);
  });

  it.each([
    ['a: {', 'neither YAML nor JSON'],
    ['set: fashion-32', 'images'],
    [small('  a: { peer: dcgn }\n'), 'contenders.a.peer'],
    [small('  a: { setings: {} }\n'), 'did you mean settings'],
    [small('  a: { settings: { repulsionWheight: 1 } }\n'), 'repulsionWeight'],
    [small('  a: { settings: { preset: papr } }\n'), 'paper'],
    [small('  a: { peer: dcgan, settings: { lambda: 1 } }\n'), 'a peer has none'],
    [small('  a: { batch: 16 }\n'), 'contenders.a.batch'],
    [small('  a: { average: true }\n'), 'contenders.a.average'],
    [small('  a: {}\n', 'settings: { batchSize: 0 }\n'), 'batchSize'],
  ])('is refused by name and field: %j', (text, message) => {
    expect(() => parseGrid(text, 'g.yaml')).toThrow(ConfigError);
    expect(() => parseGrid(text, 'g.yaml')).toThrow(message);
    expect(() => parseGrid(text, 'g.yaml')).toThrow('g.yaml');
  });

  it('is read or refused with ConfigError, whatever is in it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseGrid(text, 'g.yaml');
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 200 },
    );
  });
});
