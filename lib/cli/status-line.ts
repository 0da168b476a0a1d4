import { createLogUpdate } from 'log-update';

/** Milliseconds of work that need no word. */
const PATIENCE = 1000;

export interface StatusLine {
  show(text: string): void;
  /** Leaves the terminal as it should be. */
  close(): void;
}

/** One line on a terminal that says what a command is doing, once that takes a while; nothing elsewhere. */
export function statusLine(stream: NodeJS.WriteStream): StatusLine {
  if (!stream.isTTY) return { show: () => {}, close: () => {} };
  const update = createLogUpdate(stream, { showCursor: true });
  const begun = performance.now();
  return {
    show: (text) => {
      if (performance.now() - begun > PATIENCE) update(text);
    },
    close: () => update.clear(),
  };
}
