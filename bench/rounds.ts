/** Runs one comparison: every contender a round, then every contender the next round, never two at once. */
import { type Comparison, type Contender, Disagreement, type Facts } from './case.js';
import { ContenderProcess } from './process.js';
import { median, ratiosOf, type Spread, spreadOf } from './statistics.js';

/** Units of a round that only shows that everything works. */
const QUICK_ITEMS = 16;

export interface RoundsOptions {
  rounds: number;
  /** What a round of one contender should take; each does as many units as fit. */
  seconds: number;
  /** A few units a round and no warm-up. */
  quick: boolean;
  python: string | undefined;
  onProgress(text: string): void;
}

export interface ContenderResult {
  name: string;
  ours: boolean;
  /** Units per second. */
  rate?: Spread;
  /** Our rate over this one's, round by round; above 1 we are faster. Absent for ourselves. */
  ratio?: Spread;
  /** Bytes. */
  peakMemory?: number;
  /** Medians over the rounds. */
  notes: Record<string, number>;
  facts: Facts;
  /** Why there is no rate. */
  error?: string;
}

export interface ComparisonResult {
  label: string;
  unit: string;
  measure: Comparison['measure'];
  results: ContenderResult[];
  /** Whether it was the same work. */
  agreement: string[];
  /** Our lead over the fastest other one. */
  best?: { name: string; ratio: Spread };
}

interface Running {
  contender: Contender;
  process?: ContenderProcess;
  facts: Facts;
  items: number;
  rates: number[];
  notes: Record<string, number[]>;
  peakMemory?: number | undefined;
  error?: string;
}

export async function compare(comparison: Comparison, options: RoundsOptions): Promise<ComparisonResult> {
  const all: Running[] = comparison.contenders.map((contender) => ({
    contender,
    facts: {},
    items: 1,
    rates: [],
    notes: {},
  }));
  try {
    for (const one of all) await attempt(one, () => open(one, comparison, options));
    const agreement = agreementOf(comparison, all);
    for (let round = 0; round < options.rounds; round++) {
      // Whoever goes first may find the machine in another state than the others.
      const shift = round % all.length;
      for (const one of [...all.slice(shift), ...all.slice(0, shift)]) {
        options.onProgress(
          `${comparison.label}: round ${round + 1}/${options.rounds}, ${one.contender.name}`,
        );
        await attempt(one, () => measure(one, comparison));
      }
    }
    for (const one of all) one.peakMemory ??= one.process?.peakMemory();
    return summary(comparison, all, agreement);
  } finally {
    await Promise.all(all.map((one) => one.process?.close()));
  }
}

/** What fails is over for this contender, and is told; the others go on. */
async function attempt(one: Running, work: () => Promise<void>): Promise<void> {
  if (one.error !== undefined) return;
  try {
    await work();
  } catch (error) {
    one.error = error instanceof Error ? error.message : String(error);
    one.process?.kill();
  }
}

async function open(one: Running, { label, items }: Comparison, options: RoundsOptions): Promise<void> {
  const { seconds, quick, python, onProgress } = options;
  onProgress(`${label}: preparing ${one.contender.name}`);
  const opened = await ContenderProcess.open(one.contender, python);
  one.process = opened.process;
  one.facts = opened.facts;
  if (quick) {
    one.items = items ?? QUICK_ITEMS;
    return;
  }
  await one.process.round(1);
  if (items !== undefined) {
    one.items = items;
    return;
  }
  const first = await one.process.round(1);
  one.items = Math.max(1, Math.round((seconds * first.items) / first.seconds));
  // Once more as in the rounds: caches, clock rate and thread pools as they will be.
  const second = await one.process.round(one.items);
  one.items = Math.max(1, Math.round((seconds * second.items) / second.seconds));
}

async function measure(one: Running, { settle }: Comparison): Promise<void> {
  await settle?.();
  const round = await one.process?.round(one.items);
  if (round === undefined) return;
  one.rates.push(round.items / round.seconds);
  if (round.peakMemory !== undefined) one.peakMemory = Math.max(one.peakMemory ?? 0, round.peakMemory);
  for (const [name, value] of Object.entries(round.notes ?? {})) {
    one.notes[name] = [...(one.notes[name] ?? []), value];
  }
}

function agreementOf(comparison: Comparison, all: readonly Running[]): string[] {
  const going = all.filter(({ error }) => error === undefined);
  try {
    return comparison.agreement?.(new Map(going.map((one) => [one.contender.name, one.facts]))) ?? [];
  } catch (error) {
    const other = going.find(
      ({ contender }) => error instanceof Disagreement && contender.name === error.contender,
    );
    if (other === undefined) throw error;
    other.error = (error as Disagreement).message;
    other.process?.kill();
    return agreementOf(comparison, all);
  }
}

function summary(comparison: Comparison, all: readonly Running[], agreement: string[]): ComparisonResult {
  const { label, unit, measure } = comparison;
  const ours = all.find(({ contender }) => contender.ours);
  const results = all.map((one): ContenderResult => {
    const { contender, facts, rates, peakMemory, error } = one;
    const whole = error === undefined && rates.length > 0;
    const notes = Object.entries(one.notes).map(([name, values]) => [name, median(values)]);
    return {
      name: contender.name,
      ours: contender.ours ?? false,
      ...(whole && { rate: spreadOf(rates) }),
      ...(whole &&
        one !== ours &&
        ours?.error === undefined &&
        ours && { ratio: ratiosOf(ours.rates, rates) }),
      ...(peakMemory !== undefined && { peakMemory }),
      notes: Object.fromEntries(notes),
      facts,
      ...(error !== undefined && { error }),
    };
  });
  const rivals = results.filter(({ ratio }, i) => ratio !== undefined && all[i]?.contender.rival !== false);
  rivals.sort((a, b) => (b.rate?.median ?? 0) - (a.rate?.median ?? 0));
  const [fastest] = rivals;
  const best = fastest?.ratio && { name: fastest.name, ratio: fastest.ratio };
  return { label, unit, measure, results, agreement, ...(best && { best }) };
}
