import { type ScaleLinear, type ScaleLogarithmic, scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { LOSS_NAMES, type LossName } from '../native.js';
import type { LossPoint } from './loss-history.js';

const WIDTH = 960;
const HEIGHT = 520;
const MARGIN = { top: 56, right: 130, bottom: 52, left: 72 };
const RIGHT = WIDTH - MARGIN.right;
const BOTTOM = HEIGHT - MARGIN.bottom;
/** Okabe and Ito's colours, told apart whatever one's colour vision. */
const COLOURS: Record<LossName, string> = {
  lgd: '#0072b2',
  lgi: '#d55e00',
  lrz: '#56b4e9',
  lrx: '#009e73',
  llz: '#cc79a7',
  gp: '#8a6d00',
};
/** Points a drawn line has at most: beyond this they fall into one pixel. */
const MOST_POINTS = 600;
/** The smoothed line averages over about this part of the run to each side. */
const SMOOTHING = 60;
/** Ratio of the largest to the smallest value from which the y axis is logarithmic. */
const LOG_FROM = 20;

interface Series {
  /** Names of the losses that share the line: LGD and LRZ are one number. */
  names: LossName[];
  colour: string;
  raw: [step: number, value: number][];
  smooth: [step: number, value: number][];
}

type YScale = ScaleLinear<number, number> | ScaleLogarithmic<number, number>;

/**
 * A self-contained SVG of every loss over the steps: raw values faint, their local average strong. Losses that are
 * zero throughout are left out. Any number of points, none included.
 */
export function lossCurve(points: readonly LossPoint[]): string {
  const series = toSeries(points);
  const lastStep = points.at(-1)?.step ?? 1;
  const x = scaleLinear([0, lastStep], [MARGIN.left, RIGHT]);
  const { y, ticks } = yAxis(series);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#333">`,
    `<title>Losses over ${lastStep} steps</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${MARGIN.left}" y="30" font-size="17" font-weight="600">Losses</text>`,
    ...drawGrid(y, ticks),
    ...drawSteps(x),
    ...drawLines(series, x, y),
    ...series.flatMap(drawLegend),
    '</svg>\n',
  ];
  return parts.join('\n');
}

function yAxis(series: readonly Series[]): { y: YScale; ticks: number[] } {
  const values = series.flatMap(({ raw, smooth }) => [...raw, ...smooth].map(([, value]) => value));
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  // Below the normal numbers, powers of ten round to zero.
  if (low > 1e-300 && high / low > LOG_FROM) {
    const y = scaleLog([low, high], [BOTTOM, MARGIN.top]).nice();
    return { y, ticks: logTicks(y.domain()) };
  }
  const [from, to] = values.length === 0 ? [0, 1] : [Math.min(0, low), high > low ? high : low + 1];
  const y = scaleLinear([from, to], [BOTTOM, MARGIN.top]).nice();
  return { y, ticks: y.ticks(6) };
}

/** 1, 2 and 5 times the powers of ten; of many decades the powers alone. */
function logTicks([low = 1, high = 1]: readonly number[]): number[] {
  const [first, last] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  return powers
    .flatMap((power) => factors.map((factor) => factor * power))
    .filter((tick) => tick <= high * 1.001);
}

function drawGrid(y: YScale, ticks: readonly number[]): string[] {
  return ticks.flatMap((tick) => {
    const at = round(y(tick));
    return [
      `<path d="M${MARGIN.left} ${at}H${RIGHT}" stroke="#e4e4e4"/>`,
      `<text x="${MARGIN.left - 10}" y="${at + 4}" text-anchor="end">${number(tick)}</text>`,
    ];
  });
}

function drawSteps(x: ScaleLinear<number, number>): string[] {
  const ticks = x.ticks(8).filter(Number.isInteger);
  const format = x.tickFormat(8, ',d');
  return [
    `<path d="M${MARGIN.left} ${BOTTOM}H${RIGHT}" stroke="#999"/>`,
    ...ticks.flatMap((tick) => [
      `<path d="M${round(x(tick))} ${BOTTOM}v5" stroke="#999"/>`,
      `<text x="${round(x(tick))}" y="${BOTTOM + 21}" text-anchor="middle">${format(tick)}</text>`,
    ]),
    `<text x="${(MARGIN.left + RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">step</text>`,
  ];
}

/** Faint lines first, so that none covers a strong one. */
function drawLines(series: readonly Series[], x: ScaleLinear<number, number>, y: YScale): string[] {
  const path = line<[number, number]>(
    ([step]) => round(x(step)),
    ([, value]) => round(y(value)),
  );
  const draw = (points: [number, number][], colour: string, style: string) =>
    `<path d="${path(points) ?? ''}" fill="none" stroke="${colour}" ${style}/>`;
  return [
    ...series.map(({ raw, colour }) => draw(raw, colour, 'stroke-opacity="0.25"')),
    ...series.map(({ smooth, colour }) => draw(smooth, colour, 'stroke-width="2" stroke-linejoin="round"')),
  ];
}

function drawLegend({ names, colour, smooth }: Series, index: number): string[] {
  const top = MARGIN.top + 10 + index * 40;
  return [
    `<path d="M${RIGHT + 16} ${top}h18" stroke="${colour}" stroke-width="3"/>`,
    `<text x="${RIGHT + 40}" y="${top + 4}" font-weight="600">${names.join(', ').toUpperCase()}</text>`,
    `<text x="${RIGHT + 40}" y="${top + 20}" fill="#777">${number(smooth.at(-1)?.[1] ?? 0)}</text>`,
  ];
}

function toSeries(points: readonly LossPoint[]): Series[] {
  const series: Series[] = [];
  const every = Math.ceil(points.length / MOST_POINTS);
  for (const name of LOSS_NAMES) {
    const all = points.map(({ step, losses }): [number, number] => [step, losses[name]]);
    if (all.every(([, value]) => value === 0)) continue;
    const twin = series.find(({ names: [first] }) =>
      points.every(({ losses }) => first !== undefined && losses[first] === losses[name]),
    );
    if (twin) {
      twin.names.push(name);
      continue;
    }
    const thinned = (list: [number, number][]) => list.filter((_, i) => (list.length - 1 - i) % every === 0);
    series.push({ names: [name], colour: COLOURS[name], raw: thinned(all), smooth: thinned(smoothed(all)) });
  }
  return series;
}

/** Mean weighted by an exponential that falls off to both sides, so that the line does not lag behind the values. */
function smoothed(points: readonly [number, number][]): [number, number][] {
  const values = points.map(([, value]) => value);
  const before = fading(values);
  const after = fading(values.toReversed()).reverse();
  return points.map(([step, value], i) => {
    const [left, right] = [before[i] as Fading, after[i] as Fading];
    return [step, (left.sum + right.sum - value) / (left.weight + right.weight - 1)];
  });
}

interface Fading {
  sum: number;
  weight: number;
}

/** For each value, the sum of it and all before it, the farther the fainter. */
function fading(values: readonly number[]): Fading[] {
  const decay = 1 - 1 / Math.max(1, values.length / SMOOTHING);
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    sum = decay * sum + value;
    weight = decay * weight + 1;
    return { sum, weight };
  });
}

const round = (value: number) => Math.round(value * 10) / 10;
const number = (value: number) => String(Number(value.toPrecision(3)));
