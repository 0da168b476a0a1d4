/**
 * Whether images, latents and features that several ranks share out are those of one:
 * torchrun --no-python --nproc-per-node N node dist/test/acceptance/rank-inference.js. Rank 0 prints a line of JSON for
 * each. Exit status 1 unless all bits are the same and a part that fails is told and leaves the ranks together.
 */
import { rankFromEnvironment } from '../../lib/distributed/ranks.js';
import { Team } from '../../lib/distributed/team.js';
import { loadAddon, type NativeExtractor, type NativeTrainer, packageRoot } from '../../lib/native.js';
import { someImages, trainerOptions } from '../native/support.js';

/** Of odd numbers, that leave ranks with less than others or nothing. */
const COUNTS = [1, 5, 8];

const addon = loadAddon();
const ranks = rankFromEnvironment();
if (ranks === undefined) throw new Error('start this with torchrun');
const team = await Team.join(addon, ranks);
const options = trainerOptions({ batchSize: 12, threads: 1 });
const extractor = await addon.createExtractor({ path: `${packageRoot()}/test/native/data/extractor.pt` });
const trainer = await addon.createTrainer({ ...options, group: team.group });

if (ranks.rank > 0) {
  await trainer.follow({ extractor });
} else {
  const single = await addon.createTrainer(options);
  for (const count of COUNTS) {
    const [shared, own] = [
      await everything(trainer, extractor, count),
      await everything(single, extractor, count),
    ];
    for (const [name, { data }] of Object.entries(shared))
      tell(`${name} of ${count}`, same(data, own[name]?.data));
  }
  const unlucky = {
    data: new Uint8Array(4 * 13 * 13 * 3),
    shape: [4, 13, 13, 3] as [number, number, number, number],
  };
  const error = await trainer
    .extract({ extractor, images: unlucky })
    .catch((reason: Error) => reason.message);
  tell('a part that fails', typeof error === 'string' && error.includes('thirteen'));
  const [after, alone] = [
    await trainer.generate({ seed: 3, count: 4 }),
    await single.generate({ seed: 3, count: 4 }),
  ];
  tell('afterwards', same(after.data, alone.data));
  await single.dispose();
}
await trainer.dispose();
await extractor.dispose();
await team.group.leave({});

interface Batch {
  data: Uint8Array | Float32Array;
}

async function everything(
  from: NativeTrainer,
  by: NativeExtractor,
  count: number,
): Promise<Record<string, Batch>> {
  const images = someImages(count);
  const latents = await from.reverse({ images });
  return {
    latents,
    reconstructions: await from.decode({ latents }),
    images: await from.generate({ seed: 7, startIndex: 2 ** 32, count }),
    raw: await from.generate({ seed: 7, count, ema: false }),
    features: await from.extract({ extractor: by, images }),
  };
}

function same(a: Batch['data'], b: Batch['data'] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

function tell(what: string, good: boolean): void {
  if (!good) process.exitCode = 1;
  console.log(JSON.stringify({ what, ranks: team.size, good }));
}
