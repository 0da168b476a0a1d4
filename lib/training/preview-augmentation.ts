/** A picture of what training would see. */
import { configLayers } from '../config/layers.js';
import { resolveConfig } from '../config/resolve.js';
import { augmentationOptions } from '../config/schema.js';
import { createLoader } from '../data/loader.js';
import { encodeGrid } from '../generation/grid.js';
import type { ImageBatch, LoaderOptions, NativeLoader } from '../native.js';
import { requireControl, requireObject, requirePath } from '../options.js';
import { DRY_RUN_KEYS, type DryRunControl, type DryRunOptions, loadUsable } from './dry-run.js';

const ROWS = 8;
/** Epochs shown beside the image itself. */
const EPOCHS = 8;

/**
 * A PNG: rows of images, evenly spread over the set, each first as it is and then as the first epochs see it. Rejects as
 * dryRun() does.
 */
export async function previewAugmentation(
  options: Omit<DryRunOptions, 'out' | 'resume'>,
  control: DryRunControl = {},
): Promise<Buffer> {
  requireObject(options, '{ data, augment }');
  requireControl(control, DRY_RUN_KEYS);
  const { data, preset, config: file, ...keys } = options;
  requirePath('data', data);
  const config = resolveConfig(await configLayers({ preset, config: file, keys }));
  const { path, shape } = await loadUsable(data, config, control);
  const common = { dataset: { path }, seed: config.seed, batchSize: config.batchSize };
  const count = Math.min(ROWS, shape[0]);
  const indices = Array.from({ length: count }, (_, i) => Math.floor((i * shape[0]) / count));
  const columns = await withLoader(common, async (plain) => [await plain.images({ epoch: 0, indices })]);
  await withLoader({ ...common, augmentation: augmentationOptions(config) }, async (loader) => {
    for (let epoch = 0; epoch < EPOCHS; epoch++) columns.push(await loader.images({ epoch, indices }));
  });
  return encodeGrid(sideBySide(columns), { columns: columns.length });
}

async function withLoader<T>(options: LoaderOptions, use: (loader: NativeLoader) => Promise<T>): Promise<T> {
  const loader = await createLoader(options);
  try {
    return await use(loader);
  } finally {
    await loader.dispose();
  }
}

/** Row i holds image i of every batch. */
function sideBySide(columns: readonly ImageBatch[]): ImageBatch {
  const [count, ...item] = columns[0]?.shape ?? [0, 0, 0, 0];
  const size = item.reduce((a, b) => a * b, 1);
  const data = new Uint8Array(count * columns.length * size);
  columns.forEach((batch, column) => {
    for (let i = 0; i < count; i++)
      data.set(batch.data.subarray(i * size, (i + 1) * size), (i * columns.length + column) * size);
  });
  return { data, shape: [count * columns.length, ...item] };
}
