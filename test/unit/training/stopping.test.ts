import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../lib/config/resolve.js';
import type { ConfigInput } from '../../../lib/config/schema.js';
import { lastStepOf, StoppingRules } from '../../../lib/training/stopping.js';

const configOf = (values: ConfigInput) =>
  resolveConfig([{ source: '', values: { batchSize: 10, ...values } }]);
const rules = (values: ConfigInput) => new StoppingRules(configOf(values));

describe('StoppingRules', () => {
  it('never stops a run without limits', () => {
    const none = rules({});
    none.record({ step: 10, lgd: 0 });
    expect(none.needLines).toBe(false);
    expect(none.check(1e9, 1e9)).toBeUndefined();
  });

  it('stops at a number of images and after a time', () => {
    const limits = rules({ maxImages: 95, maxMinutes: 2 });
    expect(limits.check(9, 119)).toBeUndefined();
    expect(limits.check(10, 0)?.stopped).toBe('images');
    expect(limits.check(9, 120)?.stopped).toBe('time');
    expect(lastStepOf(configOf({ steps: 50, maxImages: 95 }))).toBe(10);
    expect(lastStepOf(configOf({ steps: 5, maxImages: 95 }))).toBe(5);
    expect(lastStepOf(configOf({ steps: 5 }))).toBe(5);
  });

  it('stops when all targets hold at once by their latest values', () => {
    const targets = rules({ targets: ['lgi<0.02', 'swd < 3e1', 'lrz>.5'], metricEvery: 5 });
    targets.record({ step: 10, lgi: 0.01, lrz: 0.6 });
    expect(targets.check(10, 0)).toBeUndefined();
    targets.record({ step: 15, swd: 29 });
    expect(targets.check(15, 0)).toEqual({
      stopped: 'targets',
      reason: 'all targets hold: lgi<0.02 (now 0.01), swd < 3e1 (now 29), lrz>.5 (now 0.6)',
    });
    targets.record({ step: 20, lgi: 0.03, lrz: 0.6 });
    expect(targets.check(20, 0)).toBeUndefined();
  });

  it('stops at a plateau: no value better than the best by the threshold for so many steps', () => {
    const flat = rules({ plateau: 'lgi', plateauPatience: 30, plateauThreshold: 0.1 });
    for (const [step, lgi] of [
      [10, 1],
      [20, 0.95],
      [30, 0.85],
      [40, 0.8],
      [50, 0.8],
    ] as const) {
      flat.record({ step, lgi });
      expect(flat.check(step, 0), String(step)).toBeUndefined();
    }
    flat.record({ step: 60, lgi: 0.79 });
    expect(flat.check(60, 0)).toMatchObject({
      stopped: 'plateau',
      reason: expect.stringMatching(/^lgi has not become better than 0.85 since step 30/),
    });
  });

  it('knows that sharpness is best near 1', () => {
    const values = {
      plateau: 'sharpness',
      plateauPatience: 20,
      plateauThreshold: 0,
      metricEvery: 10,
    } as const;
    const noisy = rules(values);
    for (const [step, sharpness] of [
      [10, 3],
      [20, 2],
      [30, 1.2],
      [40, 0.9],
    ] as const) {
      noisy.record({ step, sharpness });
      expect(noisy.check(step, 0)).toBeUndefined();
    }
    noisy.record({ step: 60, sharpness: 1.5 });
    expect(noisy.check(60, 0)?.reason).toContain('better than 0.9 since step 40');
  });

  it('knows that more precision is better', () => {
    const growing = rules({
      plateau: 'precision',
      plateauPatience: 20,
      plateauThreshold: 0,
      metricEvery: 10,
      metrics: ['precision'],
      extractor: 'a.pt',
    });
    for (let step = 10; step <= 100; step += 10) {
      growing.record({ step, precision: step / 1000 });
      expect(growing.check(step, 0)).toBeUndefined();
    }
    growing.record({ step: 120, precision: 0.05 });
    expect(growing.check(120, 0)?.stopped).toBe('plateau');
  });
});
