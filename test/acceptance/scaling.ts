/**
 * What docs/distributed.md's model predicts for more ranks: node dist/test/acceptance/scaling.js [GBIT_PER_SECOND]
 * [LATENCY_US] [ROWS_PER_RANK]. Measured here: a step, its distances, of which each rank takes a share for the whole batch, and
 * how many bytes gradients have. Not measured: bandwidth and latency, which are the caller's.
 */
import { resolveConfig } from '../../lib/config/resolve.js';
import { modelOptions } from '../../lib/config/schema.js';
import { loadAddon } from '../../lib/native.js';
import { parametersByPart, sumOfParts } from '../../lib/training/cost.js';
import { trainerOptions } from '../../lib/training/trainer-options.js';

const [gigabits = '100', microseconds = '10', rowsText = '64'] = process.argv.slice(2);
const bandwidth = (Number(gigabits) * 1e9) / 8;
const latency = Number(microseconds) * 1e-6;
const rows = Number(rowsText);
/** Share of a step that is its backward pass, and of that the share behind G's last gradient: R(X) and its cycle. */
const BACKWARD = 2 / 3;
const OVERLAP = 1 / 4;
const STEPS = 3;
/** So many times the projections, for a difference that stands out. */
const MANY = 512;

const addon = loadAddon();
const config = resolveConfig([{ source: '', values: { batchSize: rows, threads: 1 } }]);
const size = config.imageSize;
const images = {
  data: new Uint8Array(rows * size * size * config.imageChannels).map((_, i) => (i * 37) & 255),
  shape: [rows, size, size, config.imageChannels] as [number, number, number, number],
};

async function secondsPerStep(changes: Partial<ReturnType<typeof trainerOptions>> = {}): Promise<number> {
  const trainer = await addon.createTrainer({ ...trainerOptions(config, addon), images, ...changes });
  // The fastest of some: whatever else the machine does only adds.
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i <= STEPS; i++) least = Math.min(least, (await trainer.run({ steps: 1 })).seconds);
  await trainer.dispose();
  return least;
}

const { shared, generator, reverser } = sumOfParts(parametersByPart(addon.parameters(modelOptions(config))));
const bytes = 4 * (2 * shared + generator + reverser);
const step = await secondsPerStep();
// The distance's own work grows with the number of projections: from two numbers of them follows what one costs.
const loss = trainerOptions(config, addon).loss;
const many = await secondsPerStep({ loss: { ...loss, projections: loss.projections * MANY } });
const dimensions = config.latentChannels * config.latentSize ** 2;
const distance = Math.max(
  0,
  ((many - step) / ((MANY - 1) * loss.projections)) * (loss.projections + dimensions),
);
const compute = Math.max(step - distance, 0);

console.log(
  `${rows} rows of ${size} pixels a rank, one thread: ${step.toFixed(3)} s a step, of it about ${distance.toFixed(4)} s distances`,
);
console.log(
  `gradients ${(bytes / 1e6).toFixed(1)} MB, ${gigabits} Gbit/s, ${microseconds} us a hop (both given, not measured)`,
);
console.log('ranks  s/step  exposed communication  efficiency (same rows a rank)');
for (let ranks = 1; ranks <= 1024; ranks *= 2) {
  const ring = (2 * (ranks - 1) * bytes) / ranks / bandwidth + 2 * (ranks - 1) * latency;
  const exposed = Math.max(0, ring - OVERLAP * BACKWARD * compute);
  const gather = (ranks - 1) * ((4 * 4 * rows * dimensions) / bandwidth + 2 * latency);
  // Sorting n numbers costs n log n; n grows with the ranks, and each takes its share of the projections.
  const growth = 1 + Math.log2(ranks) / Math.max(1, Math.log2(rows));
  const total = compute + distance * growth + exposed + gather;
  const row = [ranks, total.toFixed(3), (exposed + gather).toFixed(4), (step / total).toFixed(3)];
  console.log(row.map((cell) => String(cell).padEnd(9)).join(''));
}
