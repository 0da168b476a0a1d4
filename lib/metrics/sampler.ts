import type { MetricName } from '../config/schema.js';
import type { NativeNetwork, NativeTrainer } from '../native.js';

/** What is measured: what a NativeTrainer and a NativeNetwork have in common, and how a trainer's ranks share features. */
export type Sampler = Pick<NativeNetwork, 'generate' | 'decode' | 'reverse'> &
  Partial<Pick<NativeTrainer, 'extract'>>;

/** Values by name, only of what was asked for. docs/metrics.md says what each is. */
export type MetricValues = Partial<Record<MetricName, number>>;
