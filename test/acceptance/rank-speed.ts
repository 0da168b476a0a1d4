/**
 * One rank of several that take steps of the default settings together, for rank-bandwidth.sh: with RANK, WORLD_SIZE and the rest
 * of torchrun's variables set, node dist/test/acceptance/rank-speed.js [ROWS_PER_RANK] [STEPS]. Rank 0 prints the seconds of a
 * step (the median), the bytes that it sent in one, and how long it waited for others.
 */
import { resolveConfig } from '../../lib/config/resolve.js';
import { rankFromEnvironment } from '../../lib/distributed/ranks.js';
import { Team } from '../../lib/distributed/team.js';
import { loadAddon } from '../../lib/native.js';
import { trainerOptions } from '../../lib/training/trainer-options.js';

const [rowsText = '16', stepsText = '9'] = process.argv.slice(2);
const rows = Number(rowsText);
const addon = loadAddon();
const ranks = rankFromEnvironment();
if (ranks === undefined) throw new Error('RANK and WORLD_SIZE are not set');
const team = await Team.join(addon, ranks);
const batchSize = rows * team.size;
// No penalty, so that all steps are alike.
const values = { batchSize, threads: 1, penaltyWeight: 0 };
const config = resolveConfig([{ source: '', values }]);
const size = config.imageSize;
const trainer = await addon.createTrainer({
  ...trainerOptions(config, addon),
  group: team.group,
  images: {
    data: new Uint8Array(batchSize * size * size * config.imageChannels).map((_, i) => (i * 37) & 255),
    shape: [batchSize, size, size, config.imageChannels],
  },
});
if (ranks.rank > 0) {
  await trainer.follow({});
} else {
  await trainer.run({ steps: 2 });
  const before = await team.group.traffic();
  const seconds: number[] = [];
  for (let i = 0; i < Number(stepsText); i++) seconds.push((await trainer.run({ steps: 1 })).seconds);
  const after = await team.group.traffic();
  seconds.sort((a, b) => a - b);
  const each = (from: number, to: number) => (to - from) / seconds.length;
  console.log(
    JSON.stringify({
      ranks: team.size,
      rows,
      seconds: seconds[Math.floor(seconds.length / 2)],
      bytes: Math.round(each(before.bytes, after.bytes)),
      collectives: each(before.collectives, after.collectives),
      waited: each(before.secondsWaited, after.secondsWaited),
    }),
  );
}
await trainer.dispose();
await team.group.leave({});
