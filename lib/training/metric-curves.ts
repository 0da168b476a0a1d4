import { LARGER_IS_BETTER, type MetricName, ONE_IS_BEST } from '../config/schema.js';
import type { Series } from './chart.js';
import { type Panel, panelSheet } from './panel.js';
import type { Point } from './smoothing.js';

/** The metrics of one evaluation. */
export interface MetricPoint {
  step: number;
  /** Those that were evaluated. */
  values: Readonly<Partial<Record<MetricName, number>>>;
}

/** Metrics of one kind, on one scale. */
const KINDS: { title: string; labels: Partial<Record<MetricName, string>> }[] = [
  { title: 'Sliced Wasserstein distance', labels: { swd: 'SWD' } },
  {
    title: 'Diversity and sharpness',
    labels: { diversity: 'diversity', sharpness: 'sharpness' },
  },
  { title: 'Reconstruction error', labels: { reconstruction: 'error' } },
  {
    title: 'Latents against the prior',
    labels: { latentMean: 'mean', latentVariance: 'variance', latentCovariance: 'covariance' },
  },
  { title: 'Fréchet distance', labels: { fd: 'FD' } },
  { title: 'Kernel inception distance', labels: { kid: 'KID' } },
  { title: 'Precision and recall', labels: { precision: 'precision', recall: 'recall' } },
];
/** Okabe and Ito's, as the losses have them; the classes are theirs, too. */
const COLOURS = [
  { name: 'lgd', colour: '#0072b2' },
  { name: 'lgi', colour: '#d55e00' },
  { name: 'lrx', colour: '#009e73' },
];

/** What is not below it, infinity included, is left out: axes end before the largest number there is. */
const LARGEST = 1e300;

/** A self-contained SVG with a panel for each kind of metric that was evaluated. Any number of points. */
export function metricCurves(points: readonly MetricPoint[]): string {
  const lastStep = points.at(-1)?.step ?? 1;
  return panelSheet(`Metrics over ${lastStep} steps`, metricPanels(points), lastStep);
}

/** The panels, of metrics that have a finite value at some step. */
export function metricPanels(points: readonly MetricPoint[]): Panel[] {
  return KINDS.flatMap(({ title, labels }) => {
    const names = Object.keys(labels) as MetricName[];
    const series = names.flatMap((metric, i): Series[] => {
      const raw = points.flatMap(({ step, values: { [metric]: value } }): Point[] =>
        value !== undefined && Math.abs(value) < LARGEST ? [[step, value]] : [],
      );
      const style = COLOURS[i] as (typeof COLOURS)[number];
      return raw.length === 0 ? [] : [{ ...style, label: labels[metric] as string, raw }];
    });
    const has = (set: ReadonlySet<string>) => names.some((name) => set.has(name));
    const better = has(LARGER_IS_BETTER) ? 'higher is better' : 'lower is better';
    const note = has(ONE_IS_BEST) ? 'real images have 1' : better;
    return series.length === 0 ? [] : [{ title, note, series }];
  });
}
