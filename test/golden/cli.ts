/** npm run golden -- FILE...: the largest relative error of each group of numbers, in float64 and float32. */
import { basename } from 'node:path';
import { loadAddon } from '../../lib/native.js';
import { compareGolden, failures, GROUPS, LIMITS } from './compare.js';

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('usage: npm run golden -- FILE...   (safetensors files made by the reference)');
  process.exitCode = 2;
}
let failed = 0;
const cell = (text: string) => text.padStart(10);
if (files.length > 0) console.log(`${'file'.padEnd(26)}${'dtype'.padEnd(8)}${GROUPS.map(cell).join('')}`);
for (const file of files) {
  for (const dtype of ['float64', 'float32'] as const) {
    const label = `${basename(file, '.safetensors').padEnd(26)}${dtype.padEnd(8)}`;
    try {
      const comparison = await compareGolden(loadAddon(), file, dtype);
      const above = failures(comparison, dtype);
      console.log(label + GROUPS.map((group) => cell(comparison[group].error.toExponential(1))).join(''));
      for (const group of above) {
        console.log(`  above ${LIMITS[dtype]}: ${group}, tensor ${comparison[group].tensor}`);
      }
      if (above.length > 0) failed++;
    } catch (error) {
      failed++;
      console.log(`${label}  ${error instanceof Error ? error.message : error}`);
    }
  }
}
if (failed > 0) process.exitCode = 1;
if (files.length > 0) {
  const judged = 'judged: all groups in float64, all but the parameters after steps in float32';
  console.log(`${failed === 0 ? 'ok' : `${failed} failed`} (${judged})`);
}
