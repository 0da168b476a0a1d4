/** Profiles as Chrome traces, which ui.perfetto.dev and chrome://tracing show. */
import { writeFileAtomic } from '../files.js';
import type { NativeProfile } from '../native.js';
import { kernelName, NO_PART, operationName } from './summary.js';

/** Events to a piece of text. */
const PIECE = 10_000;

/**
 * Writes the Trace Event Format (JSON object form, complete events in microseconds), with `otherData` as it is.
 * Throws OutputError.
 */
export async function writeTrace(path: string, profile: NativeProfile, otherData: object): Promise<void> {
  const pieces = ['{"displayTimeUnit":"ms","traceEvents":[\n'];
  const process = { ph: 'M', pid: 1, tid: 1, name: 'process_name', args: { name: 'san-native' } };
  const thread = { ph: 'M', pid: 1, tid: 1, name: 'thread_name', args: { name: 'engine' } };
  pieces.push(`${JSON.stringify(process)},\n${JSON.stringify(thread)}`);
  for (let i = 0; i < profile.begin.length; i += PIECE) pieces.push(eventsText(profile, i, i + PIECE));
  pieces.push(...deviceText(profile));
  pieces.push(`\n],"otherData":${JSON.stringify(otherData)}}\n`);
  await writeFileAtomic(
    path,
    pieces.map((piece) => Buffer.from(piece)),
  );
}

/** A row of the trace for each stream of a GPU. */
function* deviceText({ names, onDevice }: NativeProfile): Generator<string> {
  if (onDevice === undefined) return;
  const { name, stream, begin, end } = onDevice;
  const process = { ph: 'M', pid: 2, name: 'process_name', args: { name: 'GPU' } };
  yield `,\n${JSON.stringify(process)}`;
  for (const tid of new Set(stream)) {
    const thread = { ph: 'M', pid: 2, tid, name: 'thread_name', args: { name: `stream ${tid}` } };
    yield `,\n${JSON.stringify(thread)}`;
  }
  for (const [i, ts] of begin.entries()) {
    const event = {
      ph: 'X',
      pid: 2,
      tid: stream[i],
      cat: 'kernel',
      name: kernelName(names[name[i] as number] ?? ''),
      ts,
      dur: Number(((end[i] as number) - ts).toFixed(3)),
    };
    yield `,\n${JSON.stringify(event)}`;
  }
}

function eventsText(
  { names, name, part, isScope, begin, end }: NativeProfile,
  from: number,
  to: number,
): string {
  let text = '';
  for (let i = from; i < Math.min(to, begin.length); i++) {
    const event = {
      ph: 'X',
      pid: 1,
      tid: 1,
      cat: isScope[i] === 1 ? 'part' : 'operation',
      name: operationName(names[name[i] as number] ?? ''),
      ts: begin[i],
      dur: Number(((end[i] as number) - (begin[i] as number)).toFixed(3)),
      args: { part: names[part[i] as number] || NO_PART },
    };
    text += `,\n${JSON.stringify(event)}`;
  }
  return text;
}
