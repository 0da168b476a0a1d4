import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { OutputError } from '../../../lib/errors.js';
import { LockLost } from '../../../lib/file-lock.js';
import { Warnings } from '../../../lib/training/warnings.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const messages = (warnings: Warnings) => warnings.take().map(({ message }) => message);

it('are told again every half minute as long as they last, each kind by itself', () => {
  const warnings = new Warnings();
  warnings.repeat('a', 'first');
  warnings.repeat('a', 'second');
  warnings.repeat('b', 'other');
  expect(messages(warnings)).toEqual(['first', 'other']);
  vi.advanceTimersByTime(29_999);
  warnings.repeat('a', 'third');
  vi.advanceTimersByTime(1);
  warnings.repeat('a', 'fourth');
  expect(messages(warnings)).toEqual(['fourth']);
  expect(messages(warnings)).toEqual([]);
});

it('remember the latest hundred', () => {
  const warnings = new Warnings();
  for (let i = 0; i < 150; i++) warnings.tell(String(i));
  expect([warnings.all.length, warnings.all[0], warnings.all.at(-1)]).toEqual([100, '50', '149']);
});

it('are made of outputs that cannot be written, and of nothing else', async () => {
  const warnings = new Warnings();
  const full = () => Promise.reject(new OutputError('cannot write x'));
  expect(await warnings.tolerate('pictures', full)).toBeUndefined();
  expect(messages(warnings)).toEqual(['cannot write x; training goes on, pictures will be tried again']);
  expect(await warnings.tolerate('pictures', async () => 5)).toBe(5);
  for (const fault of [new LockLost('gone'), new TypeError('x')])
    await expect(warnings.tolerate('pictures', () => Promise.reject(fault))).rejects.toBe(fault);
  expect(messages(warnings)).toEqual([]);
});
