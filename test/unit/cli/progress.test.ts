import { afterEach, expect, it, vi } from 'vitest';
import { bytes, count, longDuration, significant } from '../../../lib/cli/format.js';
import { createReporter } from '../../../lib/cli/progress.js';
import { isLive } from '../../../lib/cli/status-line.js';
import { asLine, fitted, stepsRows } from '../../../lib/cli/steps-text.js';
import type { EndTick, StepsTick } from '../../../lib/training/ticks.js';

const losses = { lgd: 0.0213, lgi: 0.034, lrz: 1, lrx: 0.33333, llz: 1999.6 };
const tick: StepsTick = {
  type: 'steps',
  step: 1240,
  steps: 2200,
  images: 19_840,
  imagesPerSecond: 118.4,
  seconds: 168,
  secondsLeft: 190,
  secondsPerKimg: 8.45,
  losses,
  smoothed: losses,
  metrics: {},
  skipped: 0,
  learningRate: 1e-3,
  memory: 1.234e9,
  wrote: [],
};
const rows = (changes: Partial<StepsTick> = {}, columns = 80) =>
  stepsRows({ ...tick, ...changes }).map((row) => fitted(row, columns));

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it('has a row for the state, one for the losses, and one for metrics where there are any', () => {
  expect(rows()).toEqual([
    'step 1240/2200  19.8k images  118 images/s  8.4 s/kimg  1.2 GB  3 min 10 s left',
    'LGD 0.0213  LGI 0.0340  LRZ 1.00  LRX 0.333  LLZ 2000',
  ]);
  const metrics = { swd: 41.23, reconstruction: 0.012, latentMean: 0.1 };
  expect(rows({ metrics, skipped: 3, smoothed: { ...losses, gp: 1e-7 } }).slice(1)).toEqual([
    'LGD 0.0213  LGI 0.0340  LRZ 1.00  LRX 0.333  LLZ 2000  GP 1.0e-7  3 skipped',
    'swd 41.2  reconstruction 0.0120  z mean 0.100',
  ]);
});

it('fits 80 columns whatever the numbers are, leaving out the least', () => {
  const metrics = { swd: 41.2, reconstruction: 0.012, latentMean: 1e-9, fd: -1e9, kid: 0.1, precision: 0.5 };
  const many = { lgd: -1e-9, lgi: -1e9, lrz: -0.012, lrx: -99_999, llz: -0.5, gp: -1e-30 };
  const large = { step: 123_456, steps: 1_000_000, images: 98_765_432, secondsLeft: 360_000, skipped: 12 };
  for (const row of rows({ ...large, metrics: { ...metrics, recall: 0.25 }, smoothed: many })) {
    expect(row.length).toBeLessThanOrEqual(80);
  }
  expect(rows(large)[0]).toBe('step 123456/1000000  98.8M images  118 images/s  1.2 GB  100 h 00 min left');
  expect(rows({}, 30)[0]).toBe('step 1240/2200');
  expect(asLine(stepsRows({ ...tick, ...large }))).toContain('8.4 s/kimg');
});

it('formats numbers', () => {
  expect([999, 1000, 19_840, 1.5e6].map(count)).toEqual(['999', '1k', '19.8k', '1.5M']);
  expect([4e5, 6.4e8, 9.996e8, 1.2e9, 1.4e11].map(bytes)).toEqual([
    '400 kB',
    '640 MB',
    '1.0 GB',
    '1.2 GB',
    '140 GB',
  ]);
  expect([0, 0.5, -0.00123, 99_999, 1e5, Number.NaN].map(significant)).toEqual([
    '0',
    '0.500',
    '-1.2e-3',
    '99999',
    '1.0e+5',
    'NaN',
  ]);
  expect([190, 3599.4, 3599.6, 3600, 7499].map(longDuration)).toEqual([
    '3 min 10 s',
    '59 min 59 s',
    '1 h 00 min',
    '1 h 00 min',
    '2 h 05 min',
  ]);
});

it('in a log prints a line every ten seconds, the last state, and in words why it ended', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const texts = { out: '', err: '' };
  const into = (key: keyof typeof texts) => (text: string | Uint8Array) => {
    texts[key] += text;
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(into('out'));
  vi.spyOn(process.stderr, 'write').mockImplementation(into('err'));
  const reporter = createReporter({ json: false, quiet: false });
  for (let step = 1; step <= 25; step++) {
    reporter.tick({ ...tick, step });
    vi.advanceTimersByTime(1000);
  }
  const end: Omit<EndTick, 'stopped'> = {
    type: 'end',
    step: 25,
    steps: 2200,
    images: 400,
    seconds: 25,
    wrote: [],
  };
  const reasons = ['images', 'time', 'targets', 'plateau'] satisfies EndTick['stopped'][];
  for (const stopped of reasons) reporter.tick({ ...end, stopped, report: 'run/report.html' });
  const steps = [...texts.err.matchAll(/^step (\d+)/gm)].map(([, step]) => Number(step));
  expect([...new Set(steps)]).toEqual([1, 11, 21, 25]);
  expect(texts.out).toBe(
    [
      'ended at its limit of images (maxImages)',
      'ended at its limit of time (maxMinutes)',
      'reached its targets',
      'ended on a plateau',
    ]
      .map((words) => `${words} after 25 steps, 25 s\nreport      run/report.html\n`)
      .join(''),
  );
});

it('in a log shows the metrics of the end, and no line twice in a row', () => {
  const texts = { out: '', err: '' };
  for (const [stream, key] of [
    [process.stdout, 'out'],
    [process.stderr, 'err'],
  ] as const) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      texts[key] += text;
      return true;
    });
  }
  const last = { ...tick, step: 2200, metrics: { swd: 41.23 } };
  const end: EndTick = {
    type: 'end',
    stopped: 'plateau',
    step: 2200,
    steps: 2200,
    images: 400,
    seconds: 25,
    wrote: [],
  };
  const report = (end: EndTick) => {
    texts.out = '';
    texts.err = '';
    const reporter = createReporter({ json: false, quiet: false });
    reporter.tick(last);
    reporter.tick(end);
    return texts.err.trimEnd().split('\n');
  };
  expect(report(end)).toEqual([expect.stringContaining('swd 41.2')]);
  expect(report({ ...end, metrics: { swd: 39 } })).toEqual([
    expect.stringContaining('swd 41.2'),
    expect.stringContaining('swd 39.0'),
  ]);
  report({ ...end, reason: 'swd has not become better', best: 'run/best' });
  expect(texts.out).toBe(
    'ended on a plateau after 2200 steps, 25 s\nswd has not become better\nbest        run/best\n',
  );
});

it('in a terminal of no rows prints lines as in a log, for nothing can be drawn over there', () => {
  const { isTTY, rows, columns } = process.stderr;
  let text = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  try {
    Object.assign(process.stderr, { isTTY: true, rows: 0, columns: 80 });
    createReporter({ json: false, quiet: false }).tick(tick);
    expect(text).toMatch(/^step 1240\/2200 .*\n$/);
    expect([0, 24, undefined].map((rows) => isLive({ isTTY: true, rows: rows as number }))).toEqual([
      false,
      true,
      true,
    ]);
  } finally {
    Object.assign(process.stderr, { isTTY, rows, columns });
  }
});
