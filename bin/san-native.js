#!/usr/bin/env node
// CommonJS (bin/package.json), so that this comes before Node starts libuv's threads, on which images are decoded: four
// unless this says otherwise. One for each core, one that reads, one that waits for its turn.
const { availableParallelism } = require('node:os');
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, availableParallelism() + 2));

const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const cli = join(__dirname, '../dist/lib/cli/main.js');
if (existsSync(cli)) {
  import(pathToFileURL(cli).href)
    .then(async ({ main, watchOutput }) => {
      watchOutput();
      process.exitCode = await main(process.argv.slice(2), process.exit);
    })
    .catch(tellUnloaded);
} else {
  console.error('error: this clone has not been built yet, run npm run build');
  process.exitCode = 1;
}

// Of a program that could not be loaded, whose own errors and their codes are not there either.
function tellUnloaded(error) {
  const { code = 'ERR_SAN_ADDON', message, stack } = error;
  const reason =
    code === 'EMFILE' || code === 'ENFILE'
      ? 'too many files are open; raise the limit (ulimit -n)'
      : `${message}; install the package again`;
  console.error(`error ${code}: san-native cannot be loaded: ${reason}`.replace(/\s+/g, ' '));
  if (process.env.SAN_NATIVE_DEBUG === '1') console.error(stack);
  process.exitCode = 1;
}
