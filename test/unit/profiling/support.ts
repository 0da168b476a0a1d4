import type { NativeProfile } from '../../../lib/native.js';

/** Events as the addon gives them: name, part, begin, end in microseconds, whether it is a part itself. */
export function recorded(
  events: [name: string, part: string, begin: number, end: number, isScope?: boolean][],
  kernels?: [name: string, stream: number, begin: number, end: number][],
): NativeProfile {
  const said = [...events.flatMap((event) => event.slice(0, 2)), ...(kernels ?? []).map(([name]) => name)];
  const names = [...new Set(['', ...(said as string[])])];
  return {
    names,
    name: Uint32Array.from(events, ([name]) => names.indexOf(name)),
    part: Uint32Array.from(events, ([, part]) => names.indexOf(part)),
    isScope: Uint8Array.from(events, (event) => (event[4] ? 1 : 0)),
    begin: Float64Array.from(events, (event) => event[2]),
    end: Float64Array.from(events, (event) => event[3]),
    dropped: 0,
    ...(kernels && {
      onDevice: {
        name: Uint32Array.from(kernels, ([name]) => names.indexOf(name)),
        stream: Uint32Array.from(kernels, ([, stream]) => stream),
        begin: Float64Array.from(kernels, (kernel) => kernel[2]),
        end: Float64Array.from(kernels, (kernel) => kernel[3]),
      },
    }),
  };
}
