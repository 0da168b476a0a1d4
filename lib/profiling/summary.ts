/** Where the time of a profile went. */
import type { NativeProfile } from '../native.js';

/** Time of one operation, or of one part of the networks or of a step. */
export interface TimeShare {
  name: string;
  /** Times that it ran. */
  calls: number;
  /** Seconds without those of the operations, or parts, that ran within it. */
  seconds: number;
  /** Of all that was recorded, 0 to 1. */
  share: number;
}

export interface ProfileSummary {
  /** Seconds in which the engine was within some operation. */
  seconds: number;
  /** Longest first. The backward pass of an operation is one of its own. */
  operations: TimeShare[];
  /** Longest first. The backward pass counts for the part whose gradients it makes. */
  parts: TimeShare[];
  /** What a GPU did meanwhile, where one was in use. The times above are then those of handing it work. */
  onDevice?: DeviceSummary;
}

export interface DeviceSummary {
  /** From the beginning of the first kernel to the end of the last one. */
  seconds: number;
  /** Of these, how long at least one kernel or copy ran. */
  busy: number;
  /** By kernel, longest first; shares are of `seconds`. */
  kernels: TimeShare[];
}

/** What is recorded outside all parts, such as moving results. */
export const NO_PART = 'other';
/** As autograd calls its nodes: "torch::autograd::CppNode<san::ops::(anonymous namespace)::Forward>". */
const WRAPPING =
  /^autograd::engine::evaluate_function: |torch::autograd::CppNode<|\(anonymous namespace\)::|>$/g;

/** Of a kernel's declaration its qualified name and template arguments: "void at::f<float>(Args)" is at::f<float>. */
export function kernelName(declaration: string): string {
  const name = declaration.replaceAll('(anonymous namespace)::', '').replace(/^(static )?void /, '');
  let depth = 0;
  for (const [i, letter] of [...name].entries()) {
    if (letter === '<') depth++;
    else if (letter === '>') depth--;
    else if (letter === '(' && depth === 0) return name.slice(0, i).trimEnd();
  }
  return name;
}

export const operationName = (name: string): string => name.replace(WRAPPING, '');

/** Exclusive times: what runs within an event is taken off its own time, so that all shares make 1. */
export function summarise(profile: NativeProfile): ProfileSummary {
  const { names, name, part, isScope, begin, end } = profile;
  const operations = new Sums();
  const parts = new Sums();
  const open: number[] = [];
  const own = Float64Array.from(end, (value, i) => value - (begin[i] ?? 0));
  let seconds = 0;
  for (let i = 0; i < own.length; i++) {
    while (open.length > 0 && (end[open.at(-1) as number] as number) <= (begin[i] as number)) open.pop();
    const outer = open.at(-1);
    const time = (end[i] as number) - (begin[i] as number);
    if (outer === undefined) seconds += time / 1e6;
    else own[outer] = (own[outer] as number) - time;
    open.push(i);
  }
  for (let i = 0; i < own.length; i++) {
    const time = Math.max(0, own[i] as number) / 1e6;
    const scope = isScope[i] === 1;
    // A scope's own time is that of code which is no operation of LibTorch's.
    operations.add(
      scope ? 'between operations' : operationName(names[name[i] as number] ?? ''),
      time,
      !scope,
    );
    parts.add(names[part[i] as number] || NO_PART, time, scope);
  }
  return {
    seconds,
    operations: operations.shares(seconds),
    parts: parts.shares(seconds),
    ...(profile.onDevice && { onDevice: summariseDevice(names, profile.onDevice) }),
  };
}

function summariseDevice(
  names: readonly string[],
  { name, begin, end }: NonNullable<NativeProfile['onDevice']>,
): DeviceSummary {
  const kernels = new Sums();
  let busy = 0;
  let covered = begin[0] ?? 0;
  // Streams run side by side: what two of them do at once counts once.
  for (let i = 0; i < begin.length; i++) {
    const [from, to] = [begin[i] as number, end[i] as number];
    kernels.add(kernelName(names[name[i] as number] ?? ''), (to - from) / 1e6, true);
    busy += Math.max(0, to - Math.max(from, covered)) / 1e6;
    covered = Math.max(covered, to);
  }
  const seconds = (covered - (begin[0] ?? 0)) / 1e6;
  return { seconds, busy, kernels: kernels.shares(seconds) };
}

class Sums {
  private readonly all = new Map<string, { calls: number; seconds: number }>();

  add(name: string, seconds: number, isCall: boolean): void {
    const sum = this.all.get(name) ?? { calls: 0, seconds: 0 };
    sum.seconds += seconds;
    sum.calls += isCall ? 1 : 0;
    this.all.set(name, sum);
  }

  shares(total: number): TimeShare[] {
    return [...this.all]
      .map(([name, { calls, seconds }]) => ({ name, calls, seconds, share: total > 0 ? seconds / total : 0 }))
      .sort((a, b) => b.seconds - a.seconds);
  }
}
