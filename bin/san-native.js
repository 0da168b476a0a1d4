#!/usr/bin/env node
import { existsSync } from 'node:fs';

const cli = new URL('../dist/lib/cli/main.js', import.meta.url);
if (existsSync(cli)) {
  const { main } = await import(cli.href);
  process.exitCode = await main(process.argv.slice(2));
} else {
  console.error('error: this clone has not been built yet, run npm run build');
  process.exitCode = 1;
}
