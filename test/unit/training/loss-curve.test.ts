import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METRIC_NAMES } from '../../../lib/config/schema.js';
import { LOSS_NAMES, type Losses } from '../../../lib/native.js';
import { lossCurve } from '../../../lib/training/loss-curve.js';
import { LossHistory, meanLosses } from '../../../lib/training/loss-history.js';
import { metricCurves, metricPanels } from '../../../lib/training/metric-curves.js';
import { PANEL_WIDTH } from '../../../lib/training/panel.js';
import { someLosses } from '../support/fake-addon.js';

const course = (length: number, value: (i: number) => Losses) =>
  Array.from({ length }, (_, i) => ({ step: (i + 1) * 10, losses: value(i) }));

/** Tags in order, checked to be closed rightly: all that the SVG we write uses of XML. */
function elements(svg: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  for (const [, closing, name = '', body = ''] of svg.matchAll(
    /<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<]*")*) ?\/?>/g,
  )) {
    if (closing) expect(open.pop()).toBe(name);
    else {
      names.push(name);
      if (!svg.includes(`<${name}${body}/>`)) open.push(name);
    }
  }
  expect(open).toEqual([]);
  return names;
}

describe('lossCurve', () => {
  it('is well-formed SVG with finite numbers, whatever the losses', () => {
    const value = fc.oneof(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.constant(0),
      fc.double({ min: -1, max: 1, noNaN: true }),
    );
    const losses = fc
      .tuple(...LOSS_NAMES.map(() => value))
      .map((values) => Object.fromEntries(LOSS_NAMES.map((name, i) => [name, values[i]])) as Losses);
    fc.assert(
      fc.property(fc.array(losses, { maxLength: 40 }), (all) => {
        const svg = lossCurve(course(all.length, (i) => all[i] as Losses));
        expect(elements(svg)[0]).toBe('svg');
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      }),
    );
  });

  it('draws each loss faint and smoothed, equal ones as one line, and leaves zero ones out', () => {
    const svg = lossCurve(course(50, (i) => someLosses(1 + i)));
    expect(svg).toContain('>LGD, LRZ<');
    expect(svg).toContain('>LGI<');
    expect(svg).toContain('>LLZ<');
    expect(svg).not.toContain('GP');
    expect(svg.match(/stroke-opacity/g)).toHaveLength(4);
    expect(svg.match(/stroke-width="2"/g)).toHaveLength(4);
  });

  it('shows a single point, and each of a few', () => {
    const dots = (length: number) =>
      lossCurve(course(length, (i) => someLosses(1 + i))).match(/<circle /g)?.length ?? 0;
    expect([0, 1, 3, 50].map(dots)).toEqual([0, 4, 12, 0]);
  });

  it('stays small however long the run', () => {
    expect(lossCurve(course(20000, (i) => someLosses(1 + Math.sin(i) ** 2))).length).toBeLessThan(100_000);
  });
});

describe('metricCurves', () => {
  it('is well-formed SVG with finite numbers, whatever the metrics', () => {
    const value = fc.option(fc.double(), { nil: undefined });
    const values = fc.record(Object.fromEntries(METRIC_NAMES.map((name) => [name, value])));
    fc.assert(
      fc.property(fc.array(values, { maxLength: 30 }), (all) => {
        const svg = metricCurves(all.map((values, i) => ({ step: 10 * i, values })));
        expect(elements(svg)[0]).toBe('svg');
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      }),
    );
  });

  it('has a panel for each kind that was measured, and a line for each metric', () => {
    const svg = metricCurves(
      [10, 20].map((step) => ({ step, values: { swd: step, precision: 1, recall: 0.5 } })),
    );
    expect(svg.match(/<g /g)).toHaveLength(2);
    expect(svg.match(/stroke-width="2"/g)).toHaveLength(3);
    expect(svg).toContain('higher is better');
  });

  it('has room for the legend, however long its numbers are', () => {
    const values = Object.fromEntries(METRIC_NAMES.map((name) => [name, 0.00864]));
    const svg = metricCurves([{ step: 10, values }]);
    const ends = [...svg.matchAll(/<text x="(\d+)" y="49">([a-zA-Z]+) <tspan[^>]*>([^<]*)</g)].map(
      ([, x, label = '', value = '']) => Number(x) + 7.6 * (label.length + 1 + value.length),
    );
    expect(ends.length).toBeGreaterThan(8);
    expect(Math.max(...ends)).toBeLessThan(PANEL_WIDTH - 10);
  });

  it('has room for title and note in one row', () => {
    const values = Object.fromEntries(METRIC_NAMES.map((name) => [name, 1]));
    for (const { title, note } of metricPanels([{ step: 10, values }])) {
      // Widths of DejaVu Sans, which is wider than most: 15 units bold and 13 units.
      expect(10 * title.length + 8 * note.length).toBeLessThan(PANEL_WIDTH - 62 - 16 + 10);
    }
  });
});

describe('LossHistory', () => {
  it('keeps the mean and the last step of what it merges', () => {
    const history = new LossHistory(8);
    for (const point of course(64, (i) => someLosses(i))) history.push(point);
    const { points } = history;
    expect(points.length).toBeLessThanOrEqual(8);
    expect(points.at(-1)?.step).toBe(640);
    expect(points.map(({ step }) => step)).toEqual([...points.map(({ step }) => step)].sort((a, b) => a - b));
    expect(meanLosses(points.map(({ losses }) => losses)).lgd).toBeCloseTo(31.5);
  });

  it('keeps every point of a short run', () => {
    const history = new LossHistory(8);
    for (const point of course(7, (i) => someLosses(i))) history.push(point);
    expect(history.points).toEqual(course(7, (i) => someLosses(i)));
  });
});
