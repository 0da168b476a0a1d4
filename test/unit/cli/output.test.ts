import { EventEmitter } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { watchOutput } from '../../../lib/cli/main.js';

describe('an output that fails', () => {
  function ended(fault: { code: string }, exitCode?: number) {
    const streams = { stdout: new EventEmitter(), stderr: new EventEmitter() };
    const program = Object.assign(new EventEmitter(), streams, { exitCode });
    let told = '';
    const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      told += text;
      return true;
    });
    watchOutput(program as unknown as NodeJS.Process);
    for (const code of [fault.code, 'ERR_STREAM_DESTROYED'])
      program.stdout.emit('error', Object.assign(new Error(`write ${code}`), { code }));
    program.emit('exit');
    err.mockRestore();
    return [program.exitCode, told];
  }

  it('is no word and status 141 for a reader that has gone, else one line; a status of its own stays', () => {
    const full = 'error ERR_SAN_OUTPUT: cannot write to stdout: no space is left on the device\n';
    expect(ended({ code: 'EPIPE' })).toEqual([141, '']);
    expect(ended({ code: 'EPIPE' }, 130)).toEqual([130, '']);
    expect(ended({ code: 'ENOSPC' }, 0)).toEqual([1, full]);
    expect(ended({ code: 'ENOSPC' }, 2)).toEqual([2, '']);
  });
});
