import { METRIC_NAMES } from '../../config/schema.js';
import { LOSS_NAMES } from '../../native.js';

/** Names of a line of metrics.jsonl that stand under training/; TensorBoard has a section for each prefix. */
const TRAINING: Record<string, string> = {
  learningRate: 'learning_rate',
  imagesPerSecond: 'images_per_second',
};

const TAGS = new Map<string, string>([
  ...LOSS_NAMES.map((name): [string, string] => [name, `losses/${name}`]),
  ...METRIC_NAMES.map((name): [string, string] => [name, `metrics/${name}`]),
  ...Object.entries(TRAINING).map(([name, tag]): [string, string] => [name, `training/${tag}`]),
]);

/** Tags and values for TensorBoard of losses, metrics and more by their names elsewhere; others are left out. */
export function scalarsOf(values: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const tag = TAGS.get(name);
      return tag !== undefined && typeof value === 'number' ? [[tag, value]] : [];
    }),
  );
}
