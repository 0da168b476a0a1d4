import { expect, it } from 'vitest';
import { asLabel, isLabelFile, labelFrom } from '../../../../lib/data/sources/sample-label.js';

it.each<[unknown, number | string | undefined]>([
  [3, 3],
  [-1, -1],
  [12n, 12],
  [2n ** 60n, undefined],
  [1.5, undefined],
  [Number.NaN, undefined],
  ['0', 0],
  ['42', 42],
  ['-7', -7],
  // Digits that a number would not keep are a name.
  ['007', '007'],
  ['-0', '-0'],
  ['1234567890123456', '1234567890123456'],
  ['1e3', '1e3'],
  ['cat', 'cat'],
  ['x'.repeat(100), 'x'.repeat(100)],
  ['x'.repeat(101), undefined],
  ['two\nlines', undefined],
  ['', undefined],
  [true, undefined],
  [null, undefined],
])('of %o the label is %o', (value, label) => {
  expect(asLabel(value)).toBe(label);
});

const file = (name: string, text: string) => ({ name, content: Buffer.from(text) });

it('is asked of .cls, then .json, then .txt, whatever their order', () => {
  const files = [file('a.txt', 'text'), file('a.JSON', '{"label": "json"}'), file('a.cls', ' 4\n')];
  expect(labelFrom(files)).toBe(4);
  expect(labelFrom(files.slice(0, 2))).toBe('json');
  expect(labelFrom(files.slice(0, 1))).toBe('text');
  expect(labelFrom([{ name: 'a.cls' }, file('a.cls', 'two\nlines'), ...files.slice(0, 1)])).toBe('text');
  expect(files.map(({ name }) => isLabelFile(name))).toEqual([true, true, true]);
  expect(isLabelFile('a.cls.png')).toBe(false);
});

it.each([
  ['5', 5],
  ['"a"', 'a'],
  ['{"category": 1, "class": 2}', 2],
  ['{"label": null, "cls": "b"}', 'b'],
  ['{"label": [1], "class_name": "c"}', 'c'],
  ['null', undefined],
  ['{"other": 1}', undefined],
  ['{cut', undefined],
])('of the JSON %s it is %o', (text, label) => {
  expect(labelFrom([file('a.json', text)])).toBe(label);
});
